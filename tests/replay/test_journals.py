"""Old records mean today what they meant when they were written."""

import hashlib
import json

import pytest

from models.events import SCHEMA_VERSION
from planvault.engine.evolve import FOLDED
from planvault.engine.upcast import STEPS
from tests.replay.journals import Golden, dump, folder, outline, recorded, state_after
from tests.replay.stories import RECORDED

VERSIONS = range(1, SCHEMA_VERSION + 1)
RELEASED = {
    1: "8c2e03dfb3a789c38ca00d578b94d7f811b292afcc641df89c4ad957413e0806"
}  # SHA-256 over a released version's files; they are never written again


@pytest.mark.parametrize(("version", "name"), [(version, name) for version in VERSIONS for name in recorded(version)])
def test_an_old_journal_gives_the_state_that_it_gave_then(version: int, name: str) -> None:
    golden = Golden.load(name, version)
    told = json.loads(json.dumps(outline(state_after(golden.events, version))))
    assert {name: told[name] for name in golden.outline} == golden.outline


@pytest.mark.parametrize("name", RECORDED)
def test_the_same_story_is_written_down_as_it_was_then(name: str) -> None:
    """What the engine writes is a format too: a change here needs a look at `models.events.SCHEMA_VERSION`."""
    told = json.loads(json.dumps(dump(RECORDED[name]().events)))
    assert told == Golden.load(name, SCHEMA_VERSION).events


@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_has_golden_journals(version: int) -> None:
    assert recorded(version)


def test_every_older_version_has_its_step() -> None:
    assert len(STEPS) == SCHEMA_VERSION - 1


@pytest.mark.parametrize("version", RELEASED)
def test_the_journals_of_a_released_version_never_change(version: int) -> None:
    digest = hashlib.sha256()
    for name in recorded(version):
        digest.update((folder(version) / f"{name}.json").read_bytes())
    assert digest.hexdigest() == RELEASED[version]


def test_a_run_that_began_before_reads_ran_concurrently_goes_on_without() -> None:
    golden = Golden.load("inside_a_loop", 1)
    run = state_after(golden.events, 1).run
    assert run is not None
    assert run.settings is not None
    assert run.settings.limits.max_parallel_calls == 1


def test_today_s_journals_hold_every_event_that_the_state_is_made_of() -> None:
    """An event that no journal holds could change its meaning unseen."""
    held = {event["type"] for name in recorded(SCHEMA_VERSION) for event in Golden.load(name, SCHEMA_VERSION).events}
    assert {type_.value for type_ in FOLDED} <= held
