"""The examples of the OpenAPI specification (3.1 §4.8.12.4), and what it leaves open."""

import pytest

from models.base import JsonValue
from planvault.tools.styles import Unserializable, header_value, path_value, query_pairs

ARRAY: JsonValue = ["blue", "black", "brown"]
OBJECT: JsonValue = {"R": 100, "G": 200, "B": 150}


def query(name: str, value: JsonValue, style: str | None = None, explode: bool | None = None) -> str:
    return "&".join(f"{key}={text}" for key, text in query_pairs(name, value, style, explode))


@pytest.mark.parametrize(
    ("style", "explode", "value", "text"),
    [
        ("matrix", False, "blue", ";color=blue"),
        ("matrix", False, ARRAY, ";color=blue,black,brown"),
        ("matrix", False, OBJECT, ";color=R,100,G,200,B,150"),
        ("matrix", True, ARRAY, ";color=blue;color=black;color=brown"),
        ("matrix", True, OBJECT, ";R=100;G=200;B=150"),
        ("label", False, "blue", ".blue"),
        ("label", False, ARRAY, ".blue,black,brown"),
        ("label", False, OBJECT, ".R,100,G,200,B,150"),
        ("label", True, ARRAY, ".blue.black.brown"),
        ("label", True, OBJECT, ".R=100.G=200.B=150"),
        (None, None, "blue", "blue"),
        ("simple", False, ARRAY, "blue,black,brown"),
        ("simple", False, OBJECT, "R,100,G,200,B,150"),
        ("simple", True, OBJECT, "R=100,G=200,B=150"),
    ],
)
def test_path_styles(style: str | None, explode: bool | None, value: JsonValue, text: str) -> None:
    assert path_value("color", value, style, explode) == text


@pytest.mark.parametrize(
    ("style", "explode", "value", "text"),
    [
        (None, None, "blue", "color=blue"),
        (None, None, "", "color="),
        (None, None, ARRAY, "color=blue&color=black&color=brown"),
        ("form", False, ARRAY, "color=blue,black,brown"),
        ("form", False, OBJECT, "color=R,100,G,200,B,150"),
        ("form", True, OBJECT, "R=100&G=200&B=150"),
        ("spaceDelimited", False, ARRAY, "color=blue%20black%20brown"),
        ("spaceDelimited", False, OBJECT, "color=R%20100%20G%20200%20B%20150"),
        ("pipeDelimited", None, ARRAY, "color=blue%7Cblack%7Cbrown"),
        ("tabDelimited", False, ARRAY, "color=blue%09black%09brown"),
        ("deepObject", True, OBJECT, "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150"),
        ("deepObject", True, {"a": {"b": [1, 2]}}, "color%5Ba%5D%5Bb%5D%5B0%5D=1&color%5Ba%5D%5Bb%5D%5B1%5D=2"),
        (None, None, [], ""),
        ("form", False, [], "color="),
    ],
)
def test_query_styles(style: str | None, explode: bool | None, value: JsonValue, text: str) -> None:
    assert query("color", value, style, explode) == text


def test_header_style_is_simple_and_not_percent_encoded() -> None:
    assert header_value("a b/c", None) == "a b/c"
    assert header_value(ARRAY, None) == "blue,black,brown"
    assert header_value(OBJECT, True) == "R=100,G=200,B=150"


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (False, "false"), (3, "3"), (3.0, "3"), (2.5, "2.5"), (1e300, "1e+300"), (-0.5, "-0.5")],
)
def test_scalars_are_spelled_as_json_spells_them(value: JsonValue, text: str) -> None:
    assert path_value("x", value, None, None) == text.replace("+", "%2B")


def test_a_value_cannot_leave_its_place() -> None:
    assert path_value("x", "../a/b?c#d", None, None) == "..%2Fa%2Fb%3Fc%23d"
    assert query("x", "1&admin=true#f+g h") == "x=1%26admin%3Dtrue%23f%2Bg%20h"
    assert query("x", ["a,b", "c"], "form", False) == "x=a%2Cb,c"


def test_allow_reserved_keeps_what_adds_no_parameter() -> None:
    [(_, text)] = query_pairs("x", "a/b:c?d&e=f#g+h;i", allow_reserved=True)
    assert text == "a/b:c?d%26e%3Df%23g%2Bh%3Bi"


@pytest.mark.parametrize("value", ["", [], {}, [""]])
def test_an_empty_path_value_is_refused(value: JsonValue) -> None:
    with pytest.raises(Unserializable, match="another resource"):
        path_value("x", value, None, None)


@pytest.mark.parametrize("value", [[[1]], {"a": {"b": 1}}, float("nan"), float("inf"), "\ud800"])
def test_what_has_no_form_is_refused(value: JsonValue) -> None:
    with pytest.raises(Unserializable):
        query("x", value)
