"""Addresses that clients give: what is wrong with one is said in words, and what no setting can open is refused."""

from __future__ import annotations

import re
from typing import Annotated

import httpx
from pydantic import AfterValidator, Field

from models.policies import EgressPolicy
from planvault.errors import EgressDenied
from planvault.net.guard import check_url

LONGEST = 2_048
# No user and password: they would stand in the open in the catalog, and no request goes to such an address.
_ORIGIN = r"https?://[^\s/?#{}@\\\x00-\x1f\x7f]+"
_BASE = rf"{_ORIGIN}(/[^\s?#{{}}\x00-\x1f\x7f]*)?"
_SPEC = rf"{_ORIGIN}([/?#][^\s\x00-\x1f\x7f]*)?"
_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f]")
_AUTHORITY = re.compile(r"https?://([^/?#]*)")
_MOST_OPEN = EgressPolicy(allow_loopback=True, allow_private=True)


def _address(text: str, example: str) -> str:
    """What both kinds have in common. Raises ValueError, which says what to write instead."""
    authority = _AUTHORITY.match(text)
    if authority is None:
        raise ValueError(f"must begin with http:// or https://, as in {example}")
    if _UNPRINTABLE.search(text):
        raise ValueError(f"must hold no spaces and no line ends; write %20 for a space in a path ({example})")
    if "@" in authority[1]:
        raise ValueError("must hold no user and password: they would stand in the open. Send them as a header instead")
    if "{" in authority[1] or "}" in authority[1]:
        raise ValueError(f"must name one server: write out what stands in braces, as in {example}")
    if "\\" in authority[1] or not authority[1]:
        raise ValueError(f"must name a server after the //, as in {example}")
    try:
        check_url(httpx.URL(text), _MOST_OPEN)  # only what no policy and no operator could open
    except (EgressDenied, httpx.InvalidURL) as fault:
        raise ValueError(fault.detail if isinstance(fault, EgressDenied) else f"is no address: {fault}") from fault
    return text


def _base_url(text: str) -> str:
    example = "https://api.example.com/v1"
    for mark, name in (("?", "query"), ("#", "fragment")):
        if mark in text:
            raise ValueError(f"must end with the path: each call brings its own {name} ({example})")
    _address(text, example)
    if not re.fullmatch(_BASE, text):
        raise ValueError(f"must hold no braces: write out what stands in them, as in {example}")
    return text


def _spec_url(text: str) -> str:
    return _address(text, "https://api.example.com/openapi.json")


BaseUrl = Annotated[
    str,
    Field(max_length=LONGEST, json_schema_extra={"pattern": f"^{_BASE}$", "examples": ["https://api.example.com/v1"]}),
    AfterValidator(_base_url),
]
SpecUrl = Annotated[
    str,
    Field(
        max_length=LONGEST,
        json_schema_extra={"pattern": f"^{_SPEC}$", "examples": ["https://api.example.com/openapi.json"]},
    ),
    AfterValidator(_spec_url),
]
