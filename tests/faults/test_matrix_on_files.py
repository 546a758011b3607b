"""The faults where session events are files: the same boundaries and the same table, and those inside an append."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.bench import Bench, open_bench
from tests.faults.boundaries import ON_FILES, Phase
from tests.faults.processes import Service, Zygote
from tests.faults.proxy import wire_to
from tests.faults.scenarios import PROGRAMS
from tests.faults.test_database import cut_in_commits
from tests.faults.test_frozen_host import frozen_and_woken
from tests.faults.test_matrix import QUICK, disturb


@pytest.fixture(scope="module")
def events_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("events") / "store"


@pytest.fixture
async def bench(
    database_url: str, keyset: Path, events_dir: Path, service: Service, zygote: Zygote, tmp_path: Path
) -> AsyncIterator[Bench]:
    async with open_bench(database_url, keyset, service, zygote, tmp_path, events_dir) as bench:
        yield bench


async def test_a_host_killed_at_some_boundaries_loses_and_repeats_nothing(bench: Bench) -> None:
    await disturb(bench, "everything", QUICK // 4)


async def test_a_host_killed_between_flush_and_commit_loses_and_repeats_nothing(bench: Bench) -> None:
    await disturb(bench, "failing", QUICK // 4, ON_FILES)


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("scenario", PROGRAMS)
async def test_a_host_killed_at_any_boundary_loses_and_repeats_nothing(bench: Bench, scenario: str) -> None:
    await disturb(bench, scenario, None, tuple(Phase))


@pytest.mark.parametrize(
    "phase",
    [
        Phase.IN_TRANSACTION,  # holds its shard's row: the takeover must not wait for it
        *(pytest.param(phase, marks=pytest.mark.faults) for phase in Phase if phase is not Phase.IN_TRANSACTION),
    ],
)
async def test_a_frozen_host_that_wakes_appends_nothing_and_sends_nothing(bench: Bench, phase: Phase) -> None:
    await frozen_and_woken(bench, phase)


@pytest.mark.parametrize(
    "delivered",
    [
        pytest.param(True, id="after it landed"),
        pytest.param(False, id="before it arrived", marks=pytest.mark.faults),
    ],
)
async def test_a_connection_cut_in_a_commit_repeats_and_loses_nothing(
    bench: Bench, database_url: str, delivered: bool
) -> None:
    async with wire_to(database_url) as wire:
        await cut_in_commits(bench, wire, delivered=delivered)
