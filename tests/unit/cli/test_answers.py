"""Unattended answers say what they do and never make values up."""

from io import StringIO

import pytest
from rich.console import Console

from planvault.cli.answers import AnswerByRule, AskPerson

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
