"""Errors on the wire."""

from typing import Annotated, Any

import httpx
import orjson
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, StringConstraints

from planvault import errors
from planvault.errors import FieldError, PlanVaultError
from serve_apps import paging, problems
from serve_apps.schemas.base import Body, Text
from serve_apps.schemas.sessions import Secrets


def error_classes(base: type[PlanVaultError] = PlanVaultError) -> list[type[PlanVaultError]]:
    return [base, *(found for child in base.__subclasses__() for found in error_classes(child))]


@pytest.mark.parametrize("kind", error_classes(), ids=lambda kind: kind.__name__)
def test_every_error_of_the_tree_is_a_problem_with_its_code(kind: type[PlanVaultError]) -> None:
    answer = problems.of_error(kind("what to do next"))
    body = orjson.loads(bytes(answer.body))
    assert answer.media_type == "application/problem+json"
    assert (answer.status_code, body["status"]) == (kind.status, kind.status)
    assert body["type"] == f"urn:planvault:problem:{kind.code}"
    assert ("what to do next" in body["detail"]) is (kind.status != 500)


def test_codes_are_not_used_twice() -> None:
    codes = [kind.code for kind in error_classes() if kind is not PlanVaultError and "code" in vars(kind)]
    assert len(codes) == len(set(codes))


def test_a_retry_is_invited_where_it_can_help() -> None:
    assert problems.of_error(errors.Unavailable()).headers["retry-after"] == "1"
    assert "retry-after" not in problems.of_error(errors.Conflict()).headers


@given(st.text())
def test_any_text_can_stand_in_a_problem(text: str) -> None:
    fault = errors.InvalidInput(text, errors=[FieldError(text, text)])
    body = orjson.loads(bytes(problems.of_error(fault).body))
    assert len(body["errors"]) == 1


@pytest.mark.parametrize(
    ("path", "pointer"), [((), ""), (("a", 0, "b"), "/a/0/b"), (("a/b", "c~d"), "/a~1b/c~0d"), (("",), "/")]
)
def test_pointers_follow_rfc_6901(path: tuple[object, ...], pointer: str) -> None:
    assert problems.pointer_of(path) == pointer


@given(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=100))
def test_a_cursor_comes_back_as_it_went(position: str) -> None:
    assert paging.decode(paging.encode(position)) == position


@pytest.mark.parametrize("cursor", ["=", "a", "é", "a b", "////", "_w", "\x00", "AA"])
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(errors.InvalidInput) as refused:
        paging.decode(cursor)
    assert "cursor" in refused.value.errors[0].detail


def test_handlers_are_installed_for_the_tree_and_the_framework() -> None:
    app = FastAPI()
    problems.install(app)
    assert PlanVaultError in app.exception_handlers


class _Sent(Body):
    message: Annotated[Text, StringConstraints(min_length=1, max_length=3)] = "abc"
    secrets: Secrets = Field(default_factory=dict)


@pytest.mark.parametrize(
    ("sent", "pointer", "says"),
    [
        ({"message": "abcd"}, "/message", "String should have at most 3 characters"),
        ({"message": ""}, "/message", "String should have at least 1 character"),
        ({"secrets": {"a b": "x"}}, "/secrets/a b", "String should match pattern"),
        ({"secrets": {"A": ""}}, "/secrets/A", "String should have at least 1 character"),
        ({"secrets": {"[key]": "x"}}, "/secrets/[key]", "String should match pattern"),
    ],
)
async def test_a_fault_names_its_place_and_counts_what_the_client_sent(
    sent: dict[str, object], pointer: str, says: str
) -> None:
    app = FastAPI()
    problems.install(app)

    @app.post("/")
    async def take(body: _Sent) -> None: ...

    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://pv") as client:
        answer = await client.post("/", json=sent)
    (fault,) = answer.json()["errors"]
    assert fault["pointer"] == pointer
    assert fault["detail"].startswith(says)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({}, "a JSON body is required"),
        ({"content": b""}, "a JSON body is required"),
        ({"content": b"[]", "headers": {"Content-Type": "application/json"}}, "must be a JSON object"),
        ({"data": {"name": "x"}}, "Content-Type: application/json"),
        ({"content": b"{}", "headers": {"Content-Type": "text/plain"}}, "Content-Type: application/json"),
    ],
)
async def test_a_body_that_is_no_object_is_told_what_to_be(sent: dict[str, Any], said: str) -> None:
    class Named(Body):
        name: Text

    app = FastAPI()
    problems.install(app)

    @app.post("/things")
    async def make(body: Named) -> None: ...

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://api") as client:
        answer = await client.post("/things", **sent)
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["pointer"] == ""
    assert said in fault["detail"]
