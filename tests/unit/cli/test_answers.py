"""Unattended answers say what they do and never make values up."""

from io import StringIO

import pytest
from rich.console import Console

from models.base import JsonObject
from planvault.cli.answers import AnswerByRule, AskPerson, RefuseAll, read_json

AMOUNT = {"variable": "amount", "type": "number", "options": []}


@pytest.fixture
def console() -> Console:
    return Console(file=StringIO(), width=120)


def printed(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_an_unattended_approval_is_said_aloud(console: Console) -> None:
    assert AnswerByRule(console).approve({})
    assert "approved automatically" in printed(console)


def test_slots_take_given_values_by_name_or_part_of_it(console: Console) -> None:
    rule = AnswerByRule(console, {"amount": 12})

    assert rule.fill([AMOUNT], []) == {"amount": 12}
    assert rule.fill([{**AMOUNT, "variable": "refund_amount"}], []) == {"refund_amount": 12}
    assert "12" in printed(console)


def test_a_slot_with_options_takes_the_first_and_one_without_a_value_cancels(console: Console) -> None:
    rule = AnswerByRule(console)

    assert rule.fill([{"variable": "channel", "options": ["email", "sms"]}], []) == {"channel": "email"}
    assert rule.fill([AMOUNT], []) is None


def test_values_that_were_refused_are_not_given_again(console: Console) -> None:
    assert AnswerByRule(console, {"amount": 12}).fill([AMOUNT], ["a number is required"]) is None


def test_a_person_who_closes_the_terminal_rejects_and_cancels(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO(""))

    assert AskPerson(console).approve({}) is False
    assert AskPerson(console).fill([AMOUNT], []) is None


def test_a_person_is_told_what_was_wrong_and_asked_for_each_slot(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO("12\n"))

    assert AskPerson(console).fill([AMOUNT], ["a [number] is required"]) == {"amount": "12"}
    assert "a [number] is required" in printed(console)


@pytest.mark.parametrize(
    ("typed", "resolution"),
    [
        ('done\nbooked\n{"id": 7}\n', {"resolution": "mark_done", "result": {"id": 7}}),
        ("retry\n", {"resolution": "retry"}),
        ("fail\nnot booked\n", {"resolution": "fail", "reason": "not booked"}),
        ("\n", None),
        ("done\n", None),
        ("", None),
    ],
    ids=["done", "retry", "fail", "enter leaves it", "ctrl-d at the result leaves it", "ctrl-d leaves it"],
)
def test_a_person_decides_on_a_lost_call(
    typed: str, resolution: JsonObject | None, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO(typed))

    assert AskPerson(console).recover({"tool": "bookParcel"}, []) == resolution
    assert ("not JSON" in printed(console)) == ("booked\n{" in typed)


def test_what_was_refused_is_said_before_a_person_is_asked_again(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO("leave\n"))

    AskPerson(console).recover({}, ["A retry opens at [12:00]"])

    assert "A retry opens at [12:00]" in printed(console)


def test_what_became_of_a_call_no_rule_decides(console: Console) -> None:
    assert AnswerByRule(console).recover({}, []) is None
    assert RefuseAll(console).recover({}, []) is None


def test_leave_given_beforehand_asks_about_no_plan(console: Console) -> None:
    assert AskPerson(console, approved=True).approve({}) is True


@pytest.mark.parametrize("text", ["NaN", "-Infinity", "{'a': 1}", ""])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not JSON"):
        read_json(text)
