"""The real application over a real Postgres; what the session host would write is written by `Recorder`."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from uuid import UUID

import httpx
import orjson
import pytest
from fastapi import FastAPI
from starlette.datastructures import State

from models.base import JsonObject
from models.events import SCHEMA_VERSION, EventType, Visibility
from models.ids import RunId, SessionId, shard_of
from models.runs import RunStatus
from models.tenants import ProjectScope, SessionScope
from planvault.auth.keys import NewKey, new_admin_token
from planvault.clock import TimeOrderedIds
from planvault.ports import Embedder, Span, Vector
from planvault.settings import Settings
from planvault.storage.history import event_seal
from planvault.storage.pool import Pool, open_pool
from planvault.storage.runs import detail_seal
from serve_apps.api import assemble
from serve_apps.dependencies import ApiDeps, open_deps
from serve_apps.readiness import Probe
from serve_apps.schemas.health import PartHealth

ADMIN = new_admin_token()


class OneHotEmbedder:
    """Vectors of the right size that differ by text; selection's quality is tested where it lives."""

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        return [[1.0 if position == len(text) % 384 else 0.0 for position in range(384)] for text in texts]

    async def embed_prompt(self, text: str, spans: Sequence[Span]) -> list[Vector]:
        return await self.embed([text, *(text[slice(*span)] for span in spans)])


async def _ready() -> PartHealth:
    return PartHealth(ready=True)


@dataclass(frozen=True, slots=True)
class ObservedDeps(ApiDeps):
    """The application's parts, whose `pool` sees one organisation at a time; `database` is all of it, as its owner."""

    database: Pool


@asynccontextmanager
async def observed(settings: Settings, embedder: Embedder, probes: Mapping[str, Probe]) -> AsyncIterator[ObservedDeps]:
    async with (
        await open_pool(settings.database_url, name="observer") as database,
        open_deps(settings, embedder, probes) as opened,
    ):
        yield ObservedDeps(**{each.name: getattr(opened, each.name) for each in fields(ApiDeps)}, database=database)


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(
        database_url=database_url, data_dir=tmp_path, admin_token_sha256=ADMIN.sha256.hex(), rate_limits="off"
    )


@pytest.fixture
async def deps(settings: Settings) -> AsyncIterator[ObservedDeps]:
    probes = {"embedder": _ready, "planner": _ready}
    async with observed(settings, OneHotEmbedder(), probes) as opened:
        yield opened


@dataclass(frozen=True)
class Tenant:
    scope: ProjectScope
    key: NewKey

    @property
    def auth(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key.text}"}

    @property
    def base(self) -> str:
        return f"/api/v1/projects/{self.scope.project_id}"

    @property
    def admin(self) -> str:
        return f"/admin/v1/orgs/{self.scope.org_id}"


async def make_tenant(deps: ObservedDeps) -> Tenant:
    org = await deps.tenants.create_organization("an organisation")
    project = await deps.tenants.create_project(ProjectScope(org_id=org.id, project_id=UUID(int=0)), "a project")
    scope = ProjectScope(org_id=org.id, project_id=project.id)
    _, key = await deps.api_keys.create_primary(scope)
    return Tenant(scope, key)


@pytest.fixture
async def tenant(deps: ObservedDeps) -> Tenant:
    return await make_tenant(deps)


@pytest.fixture
async def stranger(deps: ObservedDeps) -> Tenant:
    """Another organisation."""
    return await make_tenant(deps)


@cache
def _assembled(max_body_bytes: int, cors_origins: str) -> FastAPI:
    return assemble(Settings(database_url="", max_body_bytes=max_body_bytes, cors_origins=cors_origins))


def application(deps: ObservedDeps) -> FastAPI:
    """As `create_app` makes it, with the routes of others: FastAPI takes a tenth of a second to read all of them."""
    app = copy(_assembled(deps.settings.max_body_bytes, deps.settings.cors_origins))
    app.state = State({"deps": deps})
    return app


@asynccontextmanager
async def client_for(deps: ObservedDeps, headers: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=application(deps), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers) as client:
        yield client


@pytest.fixture
async def client(deps: ObservedDeps, tenant: Tenant) -> AsyncIterator[httpx.AsyncClient]:
    """Speaks for the tenant's project key."""
    async with client_for(deps, tenant.auth) as opened:
        yield opened


@pytest.fixture
async def anonymous(deps: ObservedDeps) -> AsyncIterator[httpx.AsyncClient]:
    async with client_for(deps, {}) as opened:
        yield opened


@pytest.fixture
async def admin(deps: ObservedDeps) -> AsyncIterator[httpx.AsyncClient]:
    async with client_for(deps, {"Authorization": f"Bearer {ADMIN.text}"}) as opened:
        yield opened


@dataclass
class Recorder:
    """Writes a session's record as its host does: sealed events, the runs' read model, a notification."""

    deps: ObservedDeps
    scope: SessionScope
    seq: int = 0
    _ids: TimeOrderedIds = field(default_factory=TimeOrderedIds)

    @property
    def shard(self) -> int:
        return shard_of(self.scope.session_id, self.deps.settings.shards)

    async def event(
        self,
        kind: EventType,
        payload: JsonObject,
        *,
        run_id: UUID | None = None,
        engine: bool = False,
        tell: bool = True,
    ) -> int:
        self.seq += 1
        cipher = await self.deps.keyring.session_cipher(self.scope)
        await self.deps.database.execute(
            "INSERT INTO events (session_id, seq, org_id, shard, epoch, type, visibility, schema_version, run_id, at,"
            " payload) VALUES ($1, $2, $3, $4, 1, $5, $6, $7, $8, $9, $10)",
            self.scope.session_id,
            self.seq,
            self.scope.org_id,
            self.shard,
            kind.value,
            (Visibility.ENGINE if engine else Visibility.HISTORY).value,
            SCHEMA_VERSION,
            run_id,
            datetime.now(UTC),
            cipher.seal(orjson.dumps(payload), event_seal(self.scope.session_id, self.seq)),
        )
        if tell:
            await self.deps.database.execute("SELECT pg_notify('planvault_history', $1)", str(self.shard))
        return self.seq

    async def run(
        self,
        status: RunStatus,
        *,
        run_id: UUID | None = None,
        pending: JsonObject | None = None,
        plan_hash: str | None = None,
    ) -> RunId:
        chosen = RunId(run_id or self._ids.new())
        cipher = await self.deps.keyring.session_cipher(self.scope)
        detail = orjson.dumps({"pending": pending, "reason": None})
        await self.deps.database.execute(
            "INSERT INTO runs (id, org_id, project_id, session_id, shard, status, is_open, plan_hash, detail)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO UPDATE SET status = EXCLUDED.status,"
            " is_open = EXCLUDED.is_open, detail = EXCLUDED.detail",
            chosen,
            self.scope.org_id,
            self.scope.project_id,
            self.scope.session_id,
            self.shard,
            status.value,
            not status.is_terminal,
            plan_hash,
            cipher.seal(detail, detail_seal(self.scope, chosen)),
        )
        return chosen

    async def consume_commands(self) -> None:
        await self.deps.database.execute(
            "UPDATE commands SET consumed_at = now() WHERE session_id = $1", self.scope.session_id
        )


async def open_session(deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant, **body: object) -> Recorder:
    answer = await client.post(f"{tenant.base}/sessions", json=body)
    assert answer.status_code == 201, answer.text
    session_id = SessionId(UUID(answer.json()["id"]))
    scope = SessionScope(org_id=tenant.scope.org_id, project_id=tenant.scope.project_id, session_id=session_id)
    return Recorder(deps, scope)


@pytest.fixture
async def session(deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant) -> Recorder:
    return await open_session(deps, client, tenant)


@pytest.fixture
def path(tenant: Tenant, session: Recorder) -> str:
    """The session's path."""
    return f"{tenant.base}/sessions/{session.scope.session_id}"
