"""Processes that fault tests share: the counting service, the zygote of hosts, and where they keep their files."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.faults.bench import Bench, open_bench
from tests.faults.processes import Service, Zygote, counting_service


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    with counting_service() as service:
        yield service


@pytest.fixture(scope="session")
def zygote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    zygote = Zygote(tmp_path_factory.mktemp("hosts") / "log")
    yield zygote
    zygote.close()


@pytest.fixture(scope="module")
def keyset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One for all tests of a module: they share its database."""
    return tmp_path_factory.mktemp("keys") / "keyset.json"


@pytest.fixture
async def bench(
    database_url: str, keyset: Path, service: Service, zygote: Zygote, tmp_path: Path
) -> AsyncIterator[Bench]:
    async with open_bench(database_url, keyset, service, zygote, tmp_path) as bench:
        yield bench
