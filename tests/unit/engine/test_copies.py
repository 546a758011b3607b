"""The engine's fast copy does what the standard library's does, for the classes that it is used on."""

import dataclasses

import pytest

from planvault.engine.copies import replace
from planvault.engine.machine import Frame, Loop, Machine
from planvault.engine.questions import Question
from planvault.engine.state import RunState, SessionState
from tests.unit.engine.story import SCOPE


@pytest.mark.parametrize("kind", [SessionState, RunState, Question, Machine, Frame, Loop])
def test_the_classes_that_are_copied_have_neither_slots_nor_work_after_init(kind: type) -> None:
    assert "__slots__" not in vars(kind)
    assert not hasattr(kind, "__post_init__")


def test_a_copy_changes_what_was_named_and_leaves_the_old_one_alone() -> None:
    before = SessionState(SCOPE, seq=3, closed=True)
    after = replace(before, seq=4)
    assert after == dataclasses.replace(before, seq=4)
    assert (before.seq, after.seq, after.closed) == (3, 4, True)


def test_a_copy_is_frozen_too() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        replace(SessionState(SCOPE), seq=1).seq = 2  # type: ignore[misc]
