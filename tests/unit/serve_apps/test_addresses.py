"""Addresses that clients give: each fault is told in words, and what is right passes."""

import re

import pytest
from pydantic import ValidationError

from serve_apps.schemas.imports import PutTools

GOOD = [
    "https://api.example.com",
    "https://api.example.com/",
    "http://api.example.com:8080/v1/a%20b",
    "http://127.0.0.1:8000",  # a setting may open it
    "http://10.0.0.8/v1",
    "https://[2606:2800:220:1::1]/v1",
    "https://bücher.example/v1",
]
FAULTS = {
    "": "must begin with http:// or https://",
    "shop.example": "must begin with http:// or https://",
    "ftp://shop.example": "must begin with http:// or https://",
    "HTTPS//shop.example": "must begin with http:// or https://",
    "https://": "must name a server",
    "https:///v1": "must name a server",
    "https://user:password@shop.example": "no user and password",
    "https://{region}.shop.example": "write out what stands in braces",
    "https://shop.example/a b": "no spaces and no line ends",
    "https://shop.example/v1\n": "no spaces and no line ends",
    "https://shop.example\\evil.example": "must name a server",
    "https://shop.example:99999": "There is no port 99999",
    "http://169.254.169.254/latest": "a cloud metadata service, which no call may reach",
    "http://0x7f.1/": "write it as four decimal numbers",
    "http://shop.example:25": "belongs to another protocol",
    "http://[::ffff:169.254.169.254]": "a cloud metadata service",
}
OF_BASES = {
    "https://shop.example/v1?key=1": "each call brings its own query",
    "https://shop.example#@other.example": "each call brings its own fragment",
    "https://shop.example/{version}": "no braces",
}


def fault_of(field: str, text: str) -> str:
    given: dict[str, object] = {"name": "shop", field: text} | ({} if field == "specUrl" else {"openApiSpec": {}})
    with pytest.raises(ValidationError) as raised:
        PutTools.model_validate(given)
    [error] = raised.value.errors()
    return str(error["msg"])


@pytest.mark.parametrize("text", GOOD)
def test_an_address_that_can_be_called_passes(text: str) -> None:
    assert PutTools.model_validate({"name": "shop", "openApiSpec": {}, "baseUrl": text}).base_url == text
    assert PutTools.model_validate({"name": "shop", "specUrl": f"{text}?v=1"}).spec_url == f"{text}?v=1"


@pytest.mark.parametrize(
    ("field", "text", "said"),
    [(field, text, said) for text, said in FAULTS.items() for field in ("baseUrl", "specUrl")]
    + [("baseUrl", text, said) for text, said in OF_BASES.items()],
)
def test_a_fault_is_told_in_words_and_not_as_a_pattern(field: str, text: str, said: str) -> None:
    message = fault_of(field, text)
    assert said in message
    assert "pattern" not in message
    assert "[^" not in message
    assert "password@" not in message


def test_the_document_names_a_pattern_that_the_good_ones_match() -> None:
    told = PutTools.model_json_schema()["properties"]["baseUrl"]["anyOf"][0]
    assert all(re.fullmatch(told["pattern"].strip("^$"), text) for text in [*GOOD, *told["examples"]])
    assert not any(re.fullmatch(told["pattern"].strip("^$"), text) for text in OF_BASES)
