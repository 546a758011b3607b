"""Hosts ask tool workers by name on a real Ray; one that dies is asked again, or another is."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import ray

from actors import classes
from actors.classes import NAMESPACE, RayFleet
from actors.handles import RayToolWorkers, tool_worker_names
from models.ids import RunId, SessionId
from models.plans import FieldAccess, Func, Var
from models.policies import SessionSettings
from models.results import Extract, FragmentFound, FragmentQuery, Inspect, Inspected, ResultPlace, Stored
from models.tenants import ProjectScope, SessionScope
from planvault.clock import TimeOrderedIds
from planvault.crypto.kek import LocalKeyWrapper
from planvault.errors import Unavailable
from planvault.settings import Settings
from planvault.storage.blobs import Blobs
from planvault.storage.bootstrap import ensure_default_tenant
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import Pool, open_pool, transaction
from planvault.storage.sessions import SessionDraft, Sessions
from tests.integration.runtime.harness import eventually

pytestmark = pytest.mark.ray

NAMES = tool_worker_names(2, "v1")
LENGTH = Func(name="len", args=(FieldAccess(base=Var(name="x"), key="items"),))
IDS = TimeOrderedIds()


@dataclass
class Parts:
    pool: Pool
    place: ResultPlace
    stored: Stored
    workers: RayToolWorkers

    @property
    def query(self) -> Extract:
        return Extract(place=self.place, query=FragmentQuery(exprs=(LENGTH,), stored={"x": self.stored}))


@pytest.fixture
def fleet(local_ray: None, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RayFleet]:
    settings = Settings(database_url=database_url, data_dir=tmp_path)
    environment = {"DATABASE_URL": settings.database_url, "PLANVAULT_DATA_DIR": str(settings.data_dir)}

    class Configured:
        """The actor as it is, in the environment of this test's database."""

        @staticmethod
        def options(**options: Any) -> Any:
            return classes.ToolWorkerActor.options(  # type: ignore[attr-defined]
                **options, runtime_env={"env_vars": environment}
            )

    monkeypatch.setitem(classes._KINDS, "ToolWorker", Configured)
    yield RayFleet("supervisor-v1", drain_s=5.0)
    for name in NAMES:
        try:
            ray.kill(ray.get_actor(name, namespace=NAMESPACE), no_restart=True)
        except ValueError:
            continue


@pytest.fixture
async def parts(database_url: str, tmp_path: Path) -> AsyncIterator[Parts]:
    pool = await open_pool(database_url, name="test", maximum=4)
    await pool.execute("DELETE FROM data_keys")
    keyring = PostgresKeyring(pool, LocalKeyWrapper.at(tmp_path / "keyset.json"), IDS)
    tenant = await ensure_default_tenant(pool, IDS)
    project = ProjectScope(org_id=tenant.org_id, project_id=tenant.project_id)
    session_id = SessionId(IDS.new())
    async with transaction(pool) as connection:
        sessions = Sessions(pool, keyring, keyring.pseudonym, 8)
        await sessions.insert(connection, project, session_id, SessionDraft({}, {}, (), None, SessionSettings()))
    place = ResultPlace(scope=SessionScope(**project.model_dump(), session_id=session_id), run_id=RunId(IDS.new()))
    content = b'{"items": [' + b"1, " * 300_000 + b"1]}"
    stored = await Blobs(pool, keyring, IDS).write(place, content, "application/json", "result")
    yield Parts(pool, place, stored, RayToolWorkers(NAMESPACE, NAMES))
    await pool.close()


async def test_a_worker_looks_into_a_result_and_answers_questions_about_it(fleet: RayFleet, parts: Parts) -> None:
    await fleet.start(NAMES[0], "ToolWorker")
    inspected = await parts.workers.inspect(Inspect(place=parts.place, spooled=parts.stored, max_depth=100))
    assert isinstance(inspected, Inspected)
    assert inspected.stored.shape["fields"] == {
        "items": {"type": "array", "length": 300_001, "items": {"type": "integer"}}
    }
    found = await parts.workers.extract(parts.query)
    assert isinstance(found, FragmentFound)
    assert found.parts[0].value == 300_001


async def test_without_a_worker_the_answer_is_that_nobody_is_there(local_ray: None, parts: Parts) -> None:
    with pytest.raises(Unavailable, match="is not there"):
        await parts.workers.extract(parts.query)


async def test_a_killed_worker_comes_back_and_is_asked_again(fleet: RayFleet, parts: Parts) -> None:
    await fleet.start(NAMES[1], "ToolWorker")
    await parts.workers.extract(parts.query)
    actor: Any = ray.get_actor(NAMES[1], namespace=NAMESPACE)
    os.kill(await actor.pid.remote(), 9)

    async def answers() -> bool:
        try:
            return isinstance(await parts.workers.extract(parts.query), FragmentFound)
        except Unavailable:
            return False

    await eventually(answers, patience_s=60.0, what="the worker's return")
