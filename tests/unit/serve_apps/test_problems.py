"""Errors on the wire."""

import orjson
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from planvault import errors
from planvault.errors import FieldError, PlanVaultError
from serve_apps import paging, problems


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


@given(st.text(st.characters(codec="utf-8"), max_size=100))
def test_a_cursor_comes_back_as_it_went(position: str) -> None:
    assert paging.decode(paging.encode(position)) == position


@pytest.mark.parametrize("cursor", ["=", "a", "é", "a b", "////", "_w", "\x00"])
def test_a_foreign_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(errors.InvalidInput) as refused:
        paging.decode(cursor)
    assert "cursor" in refused.value.errors[0].detail


def test_handlers_are_installed_for_the_tree_and_the_framework() -> None:
    app = FastAPI()
    problems.install(app)
    assert PlanVaultError in app.exception_handlers
