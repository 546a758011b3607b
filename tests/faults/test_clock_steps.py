"""The wall clock of a host steps while it works: leases do not notice, and no step is lost or repeated.

Debian's `faketime` moves the clock of a real process; the monotonic clock stays, as it does on a machine whose time is
corrected. A clock that steps back delays what waits for a time by the step, and nothing else.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.bench import Bench
from tests.faults.boundaries import Action, Boundary, Phase
from tests.faults.expectation import undisturbed
from tests.faults.judging import faults_of_unharmed
from tests.faults.processes import Zygote

SCENARIO = "failing"
_LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


@dataclass
class MovedClock:
    """Hosts whose wall clock a test moves."""

    zygote: Zygote
    file: Path

    def step(self, seconds: int) -> None:
        draft = self.file.with_suffix(".draft")
        draft.write_text(f"{seconds:+d}\n")
        draft.replace(self.file)


@pytest.fixture(scope="module")
def moved_clock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MovedClock]:
    if not _LIBRARIES:
        pytest.skip("needs libfaketime (Debian's package faketime; .ci/run installs it where it can)")
    folder = tmp_path_factory.mktemp("clock")
    file = folder / "offset"
    file.write_text("+0\n")
    faked = {
        "LD_PRELOAD": str(_LIBRARIES[0]),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    zygote = Zygote(folder / "log", {**os.environ, **faked})
    yield MovedClock(zygote, file)
    zygote.close()


@pytest.mark.parametrize(
    "seconds", [pytest.param(600, id="forwards"), pytest.param(-600, id="back", marks=pytest.mark.faults)]
)
async def test_a_step_of_the_clock_repeats_and_loses_nothing(
    bench: Bench, moved_clock: MovedClock, seconds: int
) -> None:
    whole = await bench.play(SCENARIO)
    story = undisturbed(whole.trace)
    await bench.dismiss()
    moved_clock.step(0)
    host = await bench.spawn(zygote=moved_clock.zygote)
    epochs = "SELECT array_agg(epoch ORDER BY shard) FROM shard_owner"
    for append in range(1, story.appends + 1):
        moved_clock.step(0)
        act = await bench.begin(SCENARIO, Boundary(append, Phase.AFTER_APPEND), Action.PAUSE, host)
        await act.reaches()
        held = await bench.pool.fetchval(epochs)
        moved_clock.step(seconds)
        host.say(op="go")
        played = await act.end()
        assert await faults_of_unharmed(bench, whole, played) == []
        assert await bench.pool.fetchval(epochs) == held, "a shard changed hands"
        first, last = played.history[0].at, played.history[-1].at
        moved = (last - first).total_seconds()
        assert append == story.appends or abs(moved - seconds) < 60, "the clock did not step"


@pytest.mark.faults
async def test_a_host_whose_clock_is_wrong_takes_over_from_one_whose_clock_is_right(
    bench: Bench, moved_clock: MovedClock
) -> None:
    whole = await bench.play(SCENARIO)
    story = undisturbed(whole.trace)
    [read] = [attempt for attempt in story.attempts if attempt.step.startswith("n1:")]
    for seconds in (-600, 600):
        moved_clock.step(seconds)
        boundary = Boundary(read.intended_in, Phase.DURING_EFFECT)
        act = await bench.begin(SCENARIO, boundary, Action.KILL)
        await act.dies()
        await bench.spawn(zygote=moved_clock.zygote)
        played = await act.end()
        assert played.run.status == whole.run.status
        assert len(played.verdict["requests"]) == len(whole.verdict["requests"]) + 1
        await bench.dismiss()
