"""Prompts behind a running one."""

from models.commands import CommandKind
from models.events import EventType
from models.runs import RunStatus
from tests.unit.engine.pauses import waiting


def test_a_prompt_behind_a_running_one_is_a_queued_run_with_its_own_id() -> None:
    story = waiting()
    story.says("next")
    queued = story.all(EventType.RUN_STATUS)[-1]
    assert queued["status"] == "queued"
    [row] = story.decisions[-1].runs
    assert str(row.run_id) == queued["runId"]
    assert row.status is RunStatus.QUEUED
    assert story.state.run is not None
    assert story.state.run.status is RunStatus.AWAITING_EXTERNAL_SIGNAL
    story.acts(CommandKind.CANCEL)
    assert str(story.state.run.run_id) == queued["runId"]
    assert story.replayed() == story.state


def test_a_queued_run_can_be_cancelled_by_its_id() -> None:
    story = waiting()
    story.says("next")
    queued = story.state.queue[0].run_id
    assert queued is not None
    story.acts(CommandKind.CANCEL, run_id=queued)
    assert story.one(EventType.DONE)["runId"] == str(queued)
    assert story.state.queue == ()
    assert story.state.run is not None
    assert story.state.run.status is RunStatus.AWAITING_EXTERNAL_SIGNAL
    assert story.replayed() == story.state
