"""Real parts for tests: one embedded Postgres a test run, a fresh database a test module."""

import asyncio
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import structlog
from xdist.scheduler import LoadScopeScheduling

from cluster.data_dir import prepare
from cluster.postgres import embedded
from cluster.server_user import server_user
from planvault.storage.migrate import migrate
from planvault.storage.pool import Pool, open_pool

# No test turns the machine's power off: what a killed server had written, its successor reads from the page cache.
FORGETFUL = {"fsync": "off", "full_page_writes": "off"}
STARTS_RAY = ("tests/cluster/", "tests/e2e/", "tests/faults/test_through_ray.py")
SHARED = Path(os.environ.get("PLANVAULT_SHARED", Path(__file__).resolve().parents[2] / "shared"))


class WholeModules(LoadScopeScheduling):
    """In `make test`'s workers a module stays whole, for its database; and all that starts Ray stays in one worker.

    Bring-ups disturb each other: one uses both of two cores. (`--dist loadgroup` of pytest-xdist 3.8 groups nothing
    under pytest 9.2, whose names of tests it can no longer write to.)
    """

    def _split_scope(self, nodeid: str) -> str:
        return "ray" if nodeid.startswith(STARTS_RAY) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> WholeModules:
    return WholeModules(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What starts Ray takes longest: workers get it first."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.nodeid.startswith(STARTS_RAY), reverse=True)


@pytest.fixture(scope="session", autouse=True)
def plain_tracebacks() -> None:
    """Without the locals of every frame: structlog's default draws them, which takes seconds for one of the API's."""
    console = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure([*structlog.get_config()["processors"][:-1], console])


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The open benchmark data beside the checkout; tests that need it are skipped where it is absent."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip(f"needs the open benchmark data in {folder} (set PLANVAULT_SHARED)")
    return folder


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of the `postgres` database of a real server, the one that `planvault up` embeds; torn down with its data."""
    root = Path(tempfile.mkdtemp(prefix="planvault-pg-"))
    user = server_user()
    server = replace(embedded(prepare(root, user), user), settings=FORGETFUL)
    server.start()
    try:
        yield server.url("postgres")
    finally:
        server.stop()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated_template(postgres_server: str) -> str:
    """Name of a migrated database that nobody is connected to: a copy takes 0.3 s, migrating 1.5."""
    asyncio.run(_on_server(postgres_server, "CREATE DATABASE migrated"))
    asyncio.run(migrate(_url_of(postgres_server, "migrated")))
    return "migrated"


@pytest.fixture(scope="module")
def database_url(postgres_server: str, migrated_template: str) -> Iterator[str]:
    """A fresh, migrated database for this test module."""
    name = f"test_{uuid.uuid1().hex}"  # noqa: TID251 - a name for a throw-away database
    asyncio.run(_on_server(postgres_server, f'CREATE DATABASE "{name}" TEMPLATE {migrated_template}'))
    yield _url_of(postgres_server, name)
    asyncio.run(_on_server(postgres_server, f'DROP DATABASE "{name}" WITH (FORCE)'))


def _url_of(server: str, database: str) -> str:
    url = server.replace("/postgres?", f"/{database}?")
    assert database in url, f"cannot derive a database URL from {server}"
    return url


async def _on_server(server: str, sql: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    opened = await open_pool(database_url, name="test")
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """One small Ray of this test run's own."""
    import ray

    from actors.classes import NAMESPACE

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init("local", include_dashboard=False, num_cpus=2, namespace=NAMESPACE, log_to_driver=False)
    yield
    ray.shutdown()
