"""A tenant with a catalog, and the record of its runs written as a host writes it."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
import pytest

from models.base import JsonObject, JsonValue
from models.events import SCHEMA_VERSION, EventType, Visibility
from models.ids import IntegrationId, RunId, SessionId, ToolId
from models.retrieval import RetrievalSettings
from models.runs import RunStatus
from models.tenants import OrgScope, ProjectScope, SessionScope
from planvault.clock import SystemClock, TimeOrderedIds
from planvault.crypto.kek import LocalKeyWrapper
from planvault.crypto.keyset import Keyset
from planvault.errors import Unavailable
from planvault.ports import Span, Vector
from planvault.storage import catalog, catalog_tools
from planvault.storage.feedback import Feedback, Vote
from planvault.storage.history import History, event_seal
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import Pool, transaction
from planvault.storage.runs import detail_seal
from planvault.storage.tenants import Tenants
from retrieval.query import Query
from retrieval.scenarios.boosts import Boosts
from retrieval.scenarios.learner import ScenarioLearner
from retrieval.scenarios.source import BoostSource
from tests.unit.retrieval.tool_factory import http_tool

IDS = TimeOrderedIds()
WRAPPER = LocalKeyWrapper(Keyset("kek-1", {"kek-1": bytes(range(32))}))
SETTINGS = RetrievalSettings()


class BagOfWords:
    """Texts with the same words are near, others are not; `away` plays an embedder that does not answer,
    `chokes_on` a text that its model cannot read."""

    def __init__(self) -> None:
        self.away = False
        self.chokes_on = ""
        self.meanwhile: Callable[[], Awaitable[None]] | None = None
        self.asked = 0
        self.texts: list[str] = []

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        self.asked += 1
        if self.away:
            raise Unavailable("no embedder")
        if self.meanwhile is not None:
            await self.meanwhile()
        if self.chokes_on in texts:
            raise ValueError("no text")
        self.texts += texts
        return [vector_of(text) for text in texts]

    async def embed_prompt(self, text: str, spans: Sequence[Span]) -> list[Vector]:
        return await self.embed([text, *(text[slice(*span)] for span in spans)])


def vector_of(text: str) -> list[float]:
    vector = np.zeros(384)
    for word in text.lower().split():
        vector[int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big") % 384] += 1.0
    made: list[float] = (vector / max(float(np.linalg.norm(vector)), 1e-9)).tolist()
    return made


def query_of(*parts: str) -> Query:
    vectors = np.array([vector_of(part) for part in parts], dtype=np.float32)
    return Query(parts, vectors, tuple({} for _ in parts))


class MovedClock(SystemClock):
    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class World:
    """One organisation with one project and tools; `run` writes an ended run into its record."""

    pool: Pool
    keyring: PostgresKeyring
    scope: ProjectScope
    integration: IntegrationId
    embedder: BagOfWords
    clock: MovedClock = field(default_factory=MovedClock)
    tools: dict[str, ToolId] = field(default_factory=dict)

    @property
    def org(self) -> OrgScope:
        return OrgScope(org_id=self.scope.org_id)

    @property
    def learner(self) -> ScenarioLearner:
        return ScenarioLearner(self.pool, History(self.pool, self.keyring), self.embedder, IDS)

    async def learn(self) -> None:
        while await self.learner.learn():
            pass

    async def boosts(self, *parts: str, settings: RetrievalSettings = SETTINGS) -> Boosts:
        return await BoostSource(self.pool, self.keyring, self.clock).of(self.scope, query_of(*parts), settings)

    async def contribution(self, prompt: str, tool: str, settings: RetrievalSettings = SETTINGS) -> float:
        return (await self.boosts(prompt, settings=settings)).scenario.get(self.tools[tool], 0.0)

    async def add_tools(self, *names: str) -> None:
        made = [
            http_tool(name).model_copy(
                update={"id": ToolId(IDS.new()), "org_id": self.scope.org_id, "integration_id": self.integration}
            )
            for name in names
        ]
        async with transaction(self.pool) as connection:
            await catalog_tools.insert_tools(connection, self.org, [(tool, tool.name) for tool in made])
        self.tools |= {tool.name: tool.id for tool in made}

    async def session(self, user: str | None = None) -> SessionId:
        session_id = SessionId(IDS.new())
        hmac = None if user is None else await self.keyring.pseudonym(self.scope.org_id, user)
        await self.pool.execute(
            "INSERT INTO sessions (id, org_id, project_id, shard, context, external_user_hmac)"
            " VALUES ($1, $2, $3, 0, '', $4)",
            session_id,
            self.scope.org_id,
            self.scope.project_id,
            hmac,
        )
        return session_id

    async def run(
        self,
        prompt: str,
        *tools: str,
        user: str | None = None,
        session: SessionId | None = None,
        status: RunStatus = RunStatus.COMPLETED,
        rejected: bool = False,
        fails_with: str = "",
    ) -> RunId:
        """An ended run: planned over `tools`, then rejected, failed at its last call, or done."""
        session = session or await self.session(user)
        run_id = RunId(IDS.new())
        named: JsonObject = {"runId": str(run_id)}
        nodes: list[JsonValue] = [{"id": f"n{n}", "kind": "call", "tool": tool} for n, tool in enumerate(tools)]
        await self._event(session, run_id, EventType.PROMPT, {**named, "content": prompt, "messageId": str(IDS.new())})
        if tools:
            await self._event(session, run_id, EventType.STARTED, {**named, "planGraph": {"nodes": nodes}})
        if rejected:
            status = RunStatus.CANCELLED
            await self._event(session, run_id, EventType.CONFIRM_PLAN_RESULT, {**named, "approved": False})
        else:
            for tool in tools:
                ok = not (fails_with and tool == tools[-1])
                end: JsonObject = {**named, "tool": tool, "ok": ok, **({} if ok else {"code": fails_with})}
                await self._event(session, run_id, EventType.TOOL_END, end)
        if fails_with:
            status = RunStatus.FAILED
            await self._event(session, run_id, EventType.ERROR, {**named, "code": "TOOL_FAILED", "msg": "…"})
        cipher = await self.keyring.cipher(self.scope.org_id)
        place = self.place(session)
        await self.pool.execute(
            "INSERT INTO runs (id, org_id, project_id, session_id, shard, status, is_open, detail, updated_at)"
            " VALUES ($1, $2, $3, $4, 0, $5, $6, $7, $8)",
            run_id,
            place.org_id,
            place.project_id,
            session,
            status.value,
            not status.is_terminal,
            cipher.seal(b"{}", detail_seal(place, run_id)),
            self.clock.now(),
        )
        return run_id

    async def vote(self, run_id: RunId, value: Vote, voter: str = "ada") -> None:
        session = await self.pool.fetchval("SELECT session_id FROM runs WHERE id = $1", run_id)
        feedback = Feedback(self.keyring, self.keyring.pseudonym, IDS)
        async with transaction(self.pool) as connection:
            await feedback.give(connection, self.place(session), run_id, voter, value, "why", self.clock.now())

    def place(self, session: SessionId) -> SessionScope:
        return SessionScope(org_id=self.scope.org_id, project_id=self.scope.project_id, session_id=session)

    async def scenarios(self) -> list[tuple[float, float]]:
        """Successes and failures of every scenario, oldest first."""
        rows = await self.pool.fetch(
            "SELECT successes, failures FROM scenarios WHERE org_id = $1 ORDER BY id", self.scope.org_id
        )
        return [(row["successes"], row["failures"]) for row in rows]

    async def _event(self, session: SessionId, run_id: RunId, kind: EventType, payload: JsonObject) -> None:
        seq = 1 + await self.pool.fetchval("SELECT count(*) FROM events WHERE session_id = $1", session)
        cipher = await self.keyring.cipher(self.scope.org_id)
        await self.pool.execute(
            "INSERT INTO events (session_id, seq, org_id, shard, epoch, type, visibility, schema_version, run_id, at,"
            " payload) VALUES ($1, $2, $3, 0, 1, $4, $5, $6, $7, now(), $8)",
            session,
            seq,
            self.scope.org_id,
            kind.value,
            Visibility.HISTORY.value,
            SCHEMA_VERSION,
            run_id,
            cipher.seal(orjson.dumps(payload), event_seal(session, seq)),
        )


async def make_world(pool: Pool) -> World:
    tenants = Tenants(pool, IDS)
    org = await tenants.create_organization("Acme")
    project = await tenants.create_project(OrgScope(org_id=org.id), "shop")
    scope = ProjectScope(org_id=org.id, project_id=project.id)
    integration = IntegrationId(IDS.new())
    await catalog.create_integration(pool, scope, integration, alias="shop", display_name="Shop")
    world = World(pool, PostgresKeyring(pool, WRAPPER, IDS), scope, integration, BagOfWords())
    await world.add_tools("list_orders", "get_order", "cancel_order", "send_mail")
    return world


@pytest.fixture
async def world(pool: Pool) -> World:
    return await make_world(pool)
