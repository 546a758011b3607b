"""Decisions that are written as one say what they would have said one after the other."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from models.commands import CommandKind
from models.ids import BlobId, CommandId, RunId
from models.runs import RunStatus
from planvault.engine.merging import merged
from planvault.engine.recorder import Decision
from planvault.engine.state import SessionState
from planvault.ports import RunRow, RunWake
from tests.unit.engine.plans import ONE_CALL
from tests.unit.engine.story import SCOPE, Story, facts

RUN, OTHER = RunId(UUID(int=1)), RunId(UUID(int=2))
SOON = datetime(2026, 1, 1, tzinfo=UTC)
LATER = SOON + timedelta(days=1)


def decision(seq: int, **parts: object) -> Decision:
    return Decision(SessionState(SCOPE, seq=seq), **parts)  # type: ignore[arg-type]


def row(run_id: RunId, status: RunStatus, wake_at: datetime | None = None) -> RunRow:
    return RunRow(run_id, status, None, None, None, wake_at)


def test_events_and_what_belongs_to_them_stay_in_order() -> None:
    story = Story()
    story.begin(ONE_CALL, facts("get"))
    story.acts(CommandKind.CANCEL)
    whole = merged(story.decisions)
    assert list(whole.events) == story.events
    assert whole.state == story.state
    assert len(whole.consumed) == 2


def test_a_run_has_one_row_and_it_is_the_newest() -> None:
    whole = merged(
        [
            decision(1, runs=(row(RUN, RunStatus.PLANNING), row(OTHER, RunStatus.QUEUED))),
            decision(2, runs=(row(RUN, RunStatus.EXECUTING),)),
        ]
    )
    assert whole.runs == (row(RUN, RunStatus.EXECUTING), row(OTHER, RunStatus.QUEUED))


def test_a_wake_up_time_goes_into_the_row_where_there_is_one() -> None:
    written = decision(1, runs=(row(RUN, RunStatus.EXECUTING, SOON),))
    whole = merged([written, decision(2, wakes=(RunWake(RUN, LATER),))])
    assert whole.runs == (row(RUN, RunStatus.EXECUTING, LATER),)
    assert whole.wakes == ()


def test_a_row_replaces_the_wake_up_time_before_it() -> None:
    waits = decision(1, wakes=(RunWake(RUN, LATER),))
    whole = merged([waits, decision(2, runs=(row(RUN, RunStatus.COMPLETED),))])
    assert whole.runs == (row(RUN, RunStatus.COMPLETED),)
    assert whole.wakes == ()


def test_the_newest_wake_up_time_counts() -> None:
    whole = merged([decision(1, wakes=(RunWake(RUN, SOON),)), decision(2, wakes=(RunWake(RUN, None),))])
    assert whole.wakes == (RunWake(RUN, None),)


def test_commands_and_blobs_of_all_are_kept() -> None:
    first, second = (CommandId(UUID(int=number)) for number in (3, 4))
    blob = BlobId(UUID(int=5))
    whole = merged([decision(1, consumed=(first,)), decision(2, consumed=(second,), blobs=(blob,))])
    assert whole.consumed == (first, second)
    assert whole.blobs == (blob,)
