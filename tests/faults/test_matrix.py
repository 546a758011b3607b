"""A host is killed at every boundary of its sessions' records: nothing is lost, and only what may be is repeated."""

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from models.runs import RunStatus
from models.tools import Idempotency
from tests.faults.bench import Bench, Played
from tests.faults.boundaries import Boundary, Phase
from tests.faults.comparison import comparable
from tests.faults.expectation import CALLED_AGAIN, Undisturbed, expected, observed, undisturbed
from tests.faults.scenarios import AT_ONCE, PROGRAMS, TOOLS

QUICK = 12  # boundaries of each scenario in a run of all tests; `make test-faults` takes every one
ENDS = {
    "everything": (RunStatus.COMPLETED, None),
    "failing": (RunStatus.FAILED, "PLAN_FAILED"),
    "reading": (RunStatus.COMPLETED, None),
}
SEED = int(os.environ.get("PLANVAULT_FAULT_SEED", "20261120"))


async def disturb(bench: Bench, scenario: str, share: int | None) -> None:
    whole = await bench.play(scenario)
    assert (whole.run.status, whole.run.reason) == ENDS[scenario], [event.payload for event in whole.history[-4:]]
    story = undisturbed(whole.trace)
    boundaries = list(story.boundaries())
    if share is not None:
        boundaries = random.Random(f"{SEED} {scenario}").sample(boundaries, min(share, len(boundaries)))
    failures = []
    for boundary in boundaries:
        played = await bench.play(scenario, boundary)
        failures += [f"{boundary}: {fault}" for fault in await faults_of(bench, whole, story, played)]
    assert not failures, f"{len(failures)} of {len(boundaries)} (seed {SEED}):\n" + "\n".join(failures[:5])


async def faults_of(bench: Bench, whole: Played, story: Undisturbed, played: Played) -> list[str]:
    """Everything about the disturbed session that the table and the undisturbed one do not explain."""
    assert played.boundary is not None
    found = []
    if played.kills != 1:
        found.append("the boundary was not reached")
    if comparable(played.history) != comparable(whole.history):
        found.append(f"the history differs\n{_difference(whole, played)}")
    if (played.run.status, played.run.reason) != (whole.run.status, whole.run.reason):
        found.append(f"the run ended {played.run.status} ({played.run.reason})")
    requests, effects = observed(played.verdict)
    if played.scenario in AT_ONCE:
        return found + faults_of_reads(whole, played) + await faults_of_record(bench, played)
    due = expected(story, played.boundary)
    if requests != due.requests:
        found.append(f"the service received {dict(requests)}, {dict(due.requests)} are allowed")
    if effects != due.effects:
        found.append(f"the service executed {dict(effects)}, {dict(due.effects)} are allowed")
    if ("recovery" in played.questions) != due.asks_operator:
        found.append(f"the operator was asked: {'recovery' in played.questions}, the table says {due.asks_operator}")
    return found + faults_of_keys(played) + await faults_of_record(bench, played)


def faults_of_reads(whole: Played, played: Played) -> list[str]:
    """Nothing but reads: each as often as undisturbed, or once more if it was in flight at the kill."""
    first, second = (
        Counter(f"{request['kind']} {request['item']}" for request in each.verdict["requests"])
        for each in (whole, played)
    )
    found = [f"{what} was read {second[what]} times" for what in first if not 0 <= second[what] - first[what] <= 1]
    return found + (["reads have effects"] if played.verdict["effects"] else [])


def faults_of_keys(played: Played) -> list[str]:
    """One key an item for the keyed tool, and no key for any other."""
    keys: dict[str, set[str | None]] = {}
    for request in played.verdict["requests"]:
        keys.setdefault(f"{request['kind']} {request['item']}", set()).add(request["key"])
    found = [
        f"{what} came under {len(used)} keys" for what, used in keys.items() if what.startswith("pay") and len(used) > 1
    ]
    every = [key for what, used in keys.items() if what.startswith("pay") for key in used]
    return found + (["two steps share a key"] if len(every) != len(set(every)) else [])


async def faults_of_record(bench: Bench, played: Played) -> list[str]:
    """Gapless, epochs only grow, and no command is left over."""
    rows = await bench.pool.fetch(
        "SELECT seq, epoch FROM events WHERE session_id = $1 ORDER BY seq", played.scope.session_id
    )
    found = []
    if [row["seq"] for row in rows] != list(range(1, len(rows) + 1)):
        found.append("the record has gaps")
    if [row["epoch"] for row in rows] != sorted(row["epoch"] for row in rows):
        found.append("an older epoch wrote behind a newer one")
    left = await bench.pool.fetchval(
        "SELECT count(*) FROM commands WHERE session_id = $1 AND consumed_at IS NULL", played.scope.session_id
    )
    return found + ([f"{left} commands were not consumed"] if left else [])


def _difference(whole: Played, played: Played) -> str:
    ours, theirs = comparable(whole.history), comparable(played.history)
    at = next(
        (index for index, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]),
        min(len(ours), len(theirs)),
    )
    return f"  at {at}: undisturbed {str(ours[at : at + 2])[:500]}\n  disturbed {str(theirs[at : at + 2])[:500]}"


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
    assert {boundary.phase for boundary in story.boundaries()} == set(Phase)
    assert len(list(story.boundaries())) == 6
    assert Boundary(1, Phase.DURING_EFFECT) in story.boundaries()
