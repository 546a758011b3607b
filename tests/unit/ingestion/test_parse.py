import json

import pytest

from planvault.errors import SpecRejected, TooLarge
from planvault.ingestion import parse
from planvault.ingestion.parse import SpecVersion, parse_spec, parse_text


def test_yaml_keeps_as_text_what_json_has_no_type_for() -> None:
    assert parse_text("day: 2024-01-31\nswitch: on\nanswer: no\nbig: 0777\nclock: 12:30:45\nv: 1.2.3") == {
        "day": "2024-01-31",
        "switch": "on",
        "answer": "no",
        "big": 777,
        "clock": "12:30:45",
        "v": "1.2.3",
    }


def test_yaml_reads_json_scalars_and_leaves_quoted_ones_text() -> None:
    text = "a: 1\nb: -2.5\nc: 1e3\nd: true\ne: null\nf:\ng: '1'\nh: \"true\"\ni: ~\nj: .nan\nk: 0x10"
    assert parse_text(text) == {
        "a": 1,
        "b": -2.5,
        "c": 1000.0,
        "d": True,
        "e": None,
        "f": None,
        "g": "1",
        "h": "true",
        "i": None,
        "j": ".nan",
        "k": "0x10",
    }


def test_yaml_keys_are_their_text() -> None:
    assert parse_text("200: ok\non: x\n1.10: y\nnull: z") == {"200": "ok", "on": "x", "1.10": "y", "null": "z"}


def test_a_merge_key_adds_what_is_not_there() -> None:
    assert parse_text("base: &b {x: 1, y: 2}\nderived:\n  <<: *b\n  y: 3") == {
        "base": {"x": 1, "y": 2},
        "derived": {"x": 1, "y": 3},
    }


def test_an_alias_bomb_is_refused_before_it_expands() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    with pytest.raises(SpecRejected, match="once its aliases are expanded"):
        parse_text("\n".join(lines))


def test_an_alias_to_what_encloses_it_is_refused() -> None:
    with pytest.raises(SpecRejected, match="stands for nothing, or for itself"):
        parse_text("a: &a\n  b: *a")


def test_yaml_tags_make_no_objects() -> None:
    assert parse_text("a: !!python/object/apply:os.system ['true']\nb: !!binary aGk=") == {"a": ["true"], "b": "aGk="}


@pytest.mark.parametrize("text", ["[" * 100_000, "a: " + "[" * 5_000, "- " * 5_000, "{" * 50_000])
def test_deep_nesting_is_refused(text: str) -> None:
    with pytest.raises(SpecRejected):
        parse_text(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not valid JSON"),
        ("a: [1", "not valid YAML at line"),
        ("a: 1\n---\nb: 2", "more than one YAML document"),
        ("? [a]\n: 1", "as a key"),
        ('{"openapi": NaN}', "not valid JSON"),
        ('{"openapi": 1e999}', "not valid JSON"),
        ("just text", "not an object"),
        ("[]", "not an object"),
        ("", "not an object"),
        ('{"a": 1}', "neither `openapi` nor `swagger`"),
        ('{"swagger": "1.2"}', "Swagger 1.2 is not supported"),
        ('{"openapi": "4.0.0"}', "OpenAPI 4.0.0 is not supported"),
        ("openapi: [3]", "not supported"),
    ],
)
def test_a_refusal_says_why(text: str, reason: str) -> None:
    with pytest.raises(SpecRejected, match=reason):
        parse_spec(text)


def test_a_text_over_the_limit_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse, "MAX_BYTES", 10)
    with pytest.raises(TooLarge):
        parse_spec('{"openapi": "3.0.0"}')


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ('{"openapi": "3.0.3"}', SpecVersion.OPENAPI_3_0),
        ("openapi: 3.0", SpecVersion.OPENAPI_3_0),
        ("openapi: 3.1.0", SpecVersion.OPENAPI_3_1),
        ("openapi: 3.2.0", SpecVersion.OPENAPI_3_1),
        ("swagger: 2.0", SpecVersion.SWAGGER_2_0),
        ('\ufeff  {"swagger": "2.0"}', SpecVersion.SWAGGER_2_0),
    ],
)
def test_the_version_is_read_however_it_is_written(text: str, version: SpecVersion) -> None:
    assert parse_spec(text).version is version


def test_a_nul_character_becomes_one_that_a_database_can_store() -> None:
    assert parse_text(json.dumps({"a": "x\0y"})) == {"a": "x\ufffdy"}
    assert parse_text(r'{"a": "x\\u0000y"}') == {"a": r"x\u0000y"}
    assert parse_text('a: "x\\0y"') == {"a": "x\ufffdy"}
