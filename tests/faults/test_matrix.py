"""A host is killed at every boundary of its sessions' records: nothing is lost, and only what may be is repeated."""

import os
import random
from collections.abc import Collection
from pathlib import Path

import pytest

from models.runs import RunStatus
from models.tools import Idempotency
from tests.faults.bench import Bench
from tests.faults.boundaries import EVERYWHERE, Boundary, Phase
from tests.faults.expectation import CALLED_AGAIN, Undisturbed, undisturbed
from tests.faults.judging import faults_of_kill
from tests.faults.scenarios import PROGRAMS, TOOLS

QUICK = 8  # boundaries of each scenario in a run of all tests; `make test-faults` takes every one
ENDS = {
    "everything": (RunStatus.COMPLETED, None),
    "failing": (RunStatus.FAILED, "PLAN_FAILED"),
    "reading": (RunStatus.COMPLETED, None),
}
SEED = int(os.environ.get("PLANVAULT_FAULT_SEED", "20261120"))


async def disturb(bench: Bench, scenario: str, share: int | None, phases: Collection[Phase] = EVERYWHERE) -> None:
    whole = await bench.play(scenario)
    assert (whole.run.status, whole.run.reason) == ENDS[scenario], [event.payload for event in whole.history[-4:]]
    story = undisturbed(whole.trace)
    found = story.boundaries(on_files=bench.events_dir is not None)
    boundaries = [boundary for boundary in found if boundary.phase in phases]
    if share is not None:
        boundaries = random.Random(f"{SEED} {scenario}").sample(boundaries, min(share, len(boundaries)))
    failures = []
    for boundary in boundaries:
        played = await bench.play(scenario, boundary)
        failures += [f"{boundary}: {fault}" for fault in await faults_of_kill(bench, whole, story, played)]
    assert not failures, f"{len(failures)} of {len(boundaries)} (seed {SEED}):\n" + "\n".join(failures[:5])


@pytest.mark.parametrize("scenario", PROGRAMS)
async def test_a_host_killed_at_some_boundaries_loses_and_repeats_nothing(bench: Bench, scenario: str) -> None:
    await disturb(bench, scenario, QUICK)


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("scenario", PROGRAMS)
async def test_a_host_killed_at_any_boundary_loses_and_repeats_nothing(bench: Bench, scenario: str) -> None:
    await disturb(bench, scenario, None)


def test_the_expectation_is_the_table_of_the_recovery_page() -> None:
    page = Path(__file__).parents[2].joinpath("docs/recovery.md").read_text()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| `")
    ]
    table = {Idempotency(row[0].strip("`")): row[2] for row in rows if row[0].strip("`") in set(Idempotency)}
    assert {kind: text.startswith("called again") for kind, text in table.items()} == CALLED_AGAIN
    assert set(TOOLS.values()) == set(Idempotency)


def test_every_phase_has_its_boundaries() -> None:
    story = Undisturbed(2, {1: 1}, ())
    assert {boundary.phase for boundary in story.boundaries()} == set(EVERYWHERE)
    assert len(list(story.boundaries())) == 6
    assert {boundary.phase for boundary in story.boundaries(on_files=True)} == set(Phase)
    assert Boundary(1, Phase.DURING_EFFECT) in story.boundaries()
