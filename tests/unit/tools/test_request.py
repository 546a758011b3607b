from collections.abc import Mapping

import pytest

from models.base import JsonObject, JsonValue
from models.tools import HttpBinding, ParamLocation, ToolParam
from planvault.tools.encodings import encode_body
from planvault.tools.request import InvalidArguments, PreparedRequest, build_request

BASE = "https://api.example.com/v1/"


def param(name: str, location: str = "query", **more: object) -> ToolParam:
    defaults: dict[str, object] = {"wire_name": name, "required": location == "path"}
    return ToolParam(name=name, location=ParamLocation(location), **(defaults | more))


def leaf(*path: str, required: bool = False, schema: JsonObject | None = None) -> ToolParam:
    return ToolParam(
        name="_".join(path) or "body",
        location=ParamLocation.BODY,
        body_path=path,
        required=required,
        schema_=schema or {},
    )


def build(
    params: list[ToolParam],
    args: Mapping[str, JsonValue],
    *,
    path: str = "/things",
    base: str = BASE,
    auth: Mapping[str, str] | None = None,
    **binding: object,
) -> PreparedRequest:
    made = HttpBinding(method="POST", path=path, **binding)
    return build_request(made, params, args, base, auth=auth, idempotency_key="key-1")


def headers(request: PreparedRequest) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers}


def test_every_location_is_filled() -> None:
    request = build(
        [param("id", "path"), param("q"), param("X-Trace", "header"), param("sid", "cookie"), leaf("name")],
        {"id": "a/b", "q": [1, 2], "X-Trace": "t", "sid": "s;x", "name": "n"},
        path="/things/{id}/parts",
        content_type="application/json",
    )
    assert request.url == "https://api.example.com/v1/things/a%2Fb/parts?q=1&q=2"
    assert headers(request) == {
        "x-trace": "t",
        "accept": "application/json",
        "content-type": "application/json",
        "cookie": "sid=s%3Bx",
    }
    assert request.content == b'{"name":"n"}'


@pytest.mark.parametrize("value", [".", ".."])
def test_a_value_that_would_be_a_dot_segment_is_refused(value: str) -> None:
    with pytest.raises(InvalidArguments, match="its segment"):
        build([param("id", "path")], {"id": value}, path="/a/{id}/b")


def test_dot_segments_made_of_several_parameters_are_refused() -> None:
    with pytest.raises(InvalidArguments, match="its segment"):
        build([param("a", "path"), param("b", "path")], {"a": ".", "b": "."}, path="/x/{a}{b}")
    with pytest.raises(InvalidArguments, match="its segment"):
        build([param("a", "path", style="label")], {"a": "."}, path="/x/{a}")


def test_dots_within_a_segment_are_fine() -> None:
    assert build([param("f", "path")], {"f": "..."}, path="/{f}.{f}").url.endswith("/v1/.......")


@pytest.mark.parametrize("value", ["a\r\nX-Admin: 1", "a\nb", "a\0b", "ü"])
def test_a_header_value_that_could_end_its_field_is_refused(value: str) -> None:
    with pytest.raises(InvalidArguments, match="header X-T") as refusal:
        build([param("X-T", "header")], {"X-T": value})
    assert value not in str(refusal.value)


def test_no_argument_stands_in_for_a_credential() -> None:
    request = build([param("x-key", "header")], {"x-key": "mine"}, auth={"X-Key": "real"})
    assert headers(request)["x-key"] == "real"


def test_credentials_go_to_header_query_and_cookie() -> None:
    request = build(
        [param("sid", "cookie")],
        {"sid": "1"},
        auth={"Authorization": "Bearer t", "?api_key": "k&v", "Cookie": "token=c"},
    )
    assert headers(request)["authorization"] == "Bearer t"
    assert request.url.endswith("?api_key=k%26v")
    assert headers(request)["cookie"] == "sid=1; token=c"


def test_the_idempotency_key_is_sent_where_the_service_takes_one() -> None:
    assert "idempotency-key" not in headers(build([], {}))
    assert headers(build([], {}, idempotency_header="Idempotency-Key"))["idempotency-key"] == "key-1"


@pytest.mark.parametrize(
    ("args", "reason"),
    [({}, "required for id"), ({"id": None}, "required for id"), ({"id": 1, "zz": 1}, "no parameter zz")],
)
def test_missing_and_unknown_arguments_are_refused(args: JsonObject, reason: str) -> None:
    with pytest.raises(InvalidArguments, match=reason):
        build([param("id", "path")], args, path="/{id}")


def test_null_is_a_value_only_in_a_body_whose_schema_allows_it() -> None:
    params = [
        param("q"),
        leaf("nullable", schema={"type": ["string", "null"]}),
        leaf("strict", schema={"type": "string"}),
        leaf("any"),
        leaf("choice", schema={"enum": ["a", None]}),
    ]
    request = build(
        params, dict.fromkeys(("q", "nullable", "strict", "any", "choice")), content_type="application/json"
    )
    assert request.url == "https://api.example.com/v1/things"
    assert request.content == b'{"nullable":null,"any":null,"choice":null}'


def test_nested_bodies_are_put_together_again() -> None:
    params = [leaf("a", "b", "c"), leaf("a", "d"), leaf("e")]
    request = build(params, {"a_b_c": 1, "e": [1]}, content_type="application/json")
    assert request.content == b'{"a":{"b":{"c":1}},"e":[1]}'


def test_required_objects_exist_when_their_parent_does() -> None:
    binding: dict[str, object] = {
        "content_type": "application/json",
        "required_objects": (("a",), ("a", "b"), ("x", "y")),
    }
    params = [leaf("a", "b", "c"), leaf("x", "z")]
    assert build(params, {}, **binding).content is None
    assert build(params, {}, body_required=True, **binding).content == b'{"a":{"b":{}}}'
    assert build(params, {"x_z": 1}, **binding).content == b'{"x":{"z":1,"y":{}},"a":{"b":{}}}'


def test_a_body_of_one_value_travels_as_it_is() -> None:
    assert build([leaf()], {"body": [1, "é"]}, content_type="application/json").content == '[1,"é"]'.encode()
    assert build([leaf()], {"body": "plain é"}, content_type="text/plain").content == "plain é".encode()
    assert build([leaf()], {}, content_type="text/plain").content is None


def test_forms_follow_their_encoding() -> None:
    request = build(
        [leaf("a"), leaf("list"), leaf("csv"), leaf("deep"), leaf("json"), leaf("nested"), leaf("none")],
        {
            "a": "x y&z",
            "list": [1, 2],
            "csv": [1, 2],
            "deep": {"k": "v"},
            "json": {"k": [1]},
            "nested": {"k": {"l": True}},
            "none": None,
        },
        content_type="application/x-www-form-urlencoded",
        form_encoding={
            "csv": {"style": "form", "explode": False},
            "deep": {"style": "deepObject", "explode": True},
            "json": {"contentType": "application/json"},
        },
    )
    assert request.content == (
        b"a=x%20y%26z&list=1&list=2&csv=1,2&deep%5Bk%5D=v&json=%7B%22k%22%3A%5B1%5D%7D&nested%5Bk%5D%5Bl%5D=true"
    )


def test_multipart_parts_cannot_be_forged_by_their_contents() -> None:
    params = [leaf("note"), leaf("file", schema={"type": "string", "format": "binary"}), leaf("meta")]
    args: JsonObject = {
        "note": 'a\r\n--planvault\r\nContent-Disposition: form-data; name="x"',
        "file": "bytes",
        "meta": {"k": 1},
    }
    request = build(params, args, content_type="multipart/form-data")
    boundary = headers(request)["content-type"].partition("boundary=")[2]
    assert request.content is not None
    parts = request.content.split(f"--{boundary}".encode())
    assert len(parts) == 5
    assert b'name="file"; filename="file"\r\nContent-Type: application/octet-stream\r\n\r\nbytes' in parts[2]
    assert b"Content-Type: application/json\r\n\r\n" in parts[3]
    assert parts[3].endswith(b'{"k":1}\r\n')


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        ({}, [b"1", b"2"]),
        ({"style": "form", "explode": True}, [b"1", b"2"]),
        ({"style": "form", "explode": False}, [b"1,2"]),
        ({"style": "pipeDelimited", "explode": False}, [b"1|2"]),
    ],
)
def test_a_list_in_a_multipart_form_is_joined_where_its_encoding_says_so(rule: JsonObject, values: list[bytes]) -> None:
    found = encode_body({"ids": [1, 2]}, "multipart/form-data", {"ids": rule}, {}).content
    assert [part.split(b"\r\n\r\n")[1].split(b"\r\n")[0] for part in found.split(b"--planvault-")[1:-1]] == values


def test_a_parameter_with_a_media_type_is_its_text() -> None:
    request = build([param("filter", content_type="application/json")], {"filter": {"a": [1]}})
    assert request.url.endswith("?filter=%7B%22a%22%3A%5B1%5D%7D")


def test_a_query_in_the_documents_path_is_kept() -> None:
    assert build([param("q")], {"q": 1}, path="/do?action=run").url.endswith("/v1/do?action=run&q=1")


@pytest.mark.parametrize(
    "base", ["", "/relative", "ftp://h", "https://", "https://u:p@h", "https://{region}.h", "https://h?x=1"]
)
def test_an_unusable_base_url_is_refused(base: str) -> None:
    with pytest.raises(InvalidArguments, match="base URL"):
        build([], {}, base=base)


def test_numbers_without_a_json_form_are_refused_by_the_name_of_the_body() -> None:
    with pytest.raises(InvalidArguments, match="no JSON form"):
        build([leaf("a")], {"a": float("nan")}, content_type="application/json")
