"""The fault matrix where session events are files: the same boundaries, the same table."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.faults.bench import Bench, Service, Zygote, open_bench
from tests.faults.scenarios import PROGRAMS
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
    await disturb(bench, "everything", QUICK // 2)


@pytest.mark.faults
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("scenario", PROGRAMS)
async def test_a_host_killed_at_any_boundary_loses_and_repeats_nothing(bench: Bench, scenario: str) -> None:
    await disturb(bench, scenario, None)
