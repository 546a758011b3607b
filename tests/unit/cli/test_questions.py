"""What a waiting run asks, in words."""

import pytest

from models.base import JsonValue
from planvault.cli.questions import how_to_resolve, in_short, recovery_lines


@pytest.mark.parametrize(
    ("pending", "short"),
    [
        (None, ""),
        ({"kind": "slots", "slots": [{"variable": "amount"}, {"variable": "id"}]}, "slots: amount, id"),
        ({"kind": "plan", "planHash": "a", "tools": ["getOrder", "cancelOrder"]}, "plan: getOrder, cancelOrder"),
        ({"kind": "recovery", "tool": "bookParcel", "nodeId": "n1"}, "recovery: bookParcel (n1)"),
        ({"kind": "signal"}, "signal"),
    ],
)
def test_a_pending_question_fits_a_cell(pending: JsonValue, short: str) -> None:
    assert in_short(pending) == short


def test_a_lost_call_is_told_with_tool_reason_and_the_time_of_a_retry() -> None:
    lines = recovery_lines(
        {
            "tool": "bookParcel",
            "nodeId": "n1",
            "message": "The connection broke",
            "retryNotBefore": "2026-11-20T08:24:47+02:00",
        }
    )
    assert "bookParcel (n1)" in lines[0]
    assert lines[1:] == ["The connection broke", "a retry opens at 2026-11-20 06:24:47 UTC"]


def test_a_time_in_another_spelling_is_shown_as_it_is() -> None:
    assert recovery_lines({"retryNotBefore": "soon"})[1:] == ["a retry opens at soon"]


def test_the_commands_to_decide_with_name_session_and_run() -> None:
    text = how_to_resolve("s1", "r1")
    assert text.count("planvault resolve s1 --run r1 ") == 3
