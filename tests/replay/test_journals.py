"""Old records mean today what they meant when they were written."""

import json

import pytest

from tests.replay.journals import RECORDED, Golden, dump, outline, state_after


@pytest.mark.parametrize("name", RECORDED)
def test_an_old_journal_gives_the_state_that_it_gave_then(name: str) -> None:
    golden = Golden.load(name)
    assert json.loads(json.dumps(outline(state_after(golden.events)))) == golden.outline


@pytest.mark.parametrize("name", RECORDED)
def test_the_same_story_is_written_down_as_it_was_then(name: str) -> None:
    """What the engine writes is a format too: a change here needs a look at `models.events.SCHEMA_VERSION`."""
    told = json.loads(json.dumps(dump(RECORDED[name]().events)))
    assert told == Golden.load(name).events
