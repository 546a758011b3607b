"""What a request body may hold."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from serve_apps.schemas.admin import RunLimitsIn
from serve_apps.schemas.base import MAX_DEPTH, MAX_VALUES, Body, Json, JsonDocument, Name
from serve_apps.schemas.schedules import CreateJob
from serve_apps.schemas.sessions import CreateSession


class Holder(BaseModel):
    value: Json


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    ["a\x00b", {"a\x00": 1}, "\ud800", {"\ud800": 1}, 2**63, -(2**63) - 1, float("nan"), float("inf"),
     nested(MAX_DEPTH), [0] * MAX_VALUES],
    ids=["nul", "nul key", "surrogate", "surrogate key", "large", "small", "nan", "inf", "deep", "many"],
)  # fmt: skip
def test_json_that_a_later_step_could_not_hold_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        Holder(value=value)
    with pytest.raises(ValidationError):
        Holder(value=[{"inside": value}])


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63), 1.5, True, None, "é\u2028", nested(MAX_DEPTH - 1), {"": []}])
def test_json_at_the_edges_is_kept_as_it_is(value: Any) -> None:
    assert Holder(value=value).value == value


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_characters="\x00", codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc"), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(json_values)
def test_honest_json_passes_unchanged(value: Any) -> None:
    assert Holder(value=value).value == value


def test_unknown_and_python_spelled_fields_are_refused() -> None:
    for field in ("contextvars", "context_vars", "Tags"):
        with pytest.raises(ValidationError):
            CreateSession.model_validate({field: {}})


def test_tags_are_trimmed_and_kept_once_in_order() -> None:
    assert CreateSession.model_validate({"tags": [" b ", "a", "b"]}).draft().tags == ("b", "a")


@pytest.mark.parametrize("text", ["[1", "not json", '"text"', "[]"])
def test_text_that_is_no_json_object_is_no_context(text: str) -> None:
    with pytest.raises(ValidationError):
        CreateSession.model_validate({"contextVars": text})


def test_a_name_of_blanks_is_no_name() -> None:
    class Named(BaseModel):
        name: Name
        document: JsonDocument = {}

    with pytest.raises(ValidationError):
        Named(name="   ")
    assert Named(name=" x ").name == "x"


@pytest.mark.parametrize("value", [5, 0.5])
def test_a_number_of_seconds_may_be_whole(value: float) -> None:
    assert CreateJob.model_validate({"prompt": "x", "delaySeconds": value}).delay_seconds == value
    assert RunLimitsIn.model_validate({"maxWallClockS": value}).max_wall_clock_s == value


@pytest.mark.parametrize("value", ["5", True, float("nan")])
@pytest.mark.parametrize(("body", "field"), [(CreateJob, "delaySeconds"), (RunLimitsIn, "maxWallClockS")])
def test_what_is_no_number_of_seconds_has_one_fault_at_its_field(body: type[Body], field: str, value: object) -> None:
    with pytest.raises(ValidationError) as refused:
        body.model_validate({"prompt": "x", field: value} if body is CreateJob else {field: value})
    assert [fault["loc"] for fault in refused.value.errors()] == [(field,)]
