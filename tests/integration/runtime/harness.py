"""A SessionRuntime over real Postgres, with everything outside played by twins that record what they were asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from models.base import JsonObject
from models.commands import Action, CommandKind, Message
from models.events import Event, EventType
from models.ids import IntegrationId, MessageId, SessionId, ToolId, shard_of
from models.planning import Candidate, PlanOutcome, PlanRequest, Selection, SelectionOptions, SelectionTier
from models.plans import Plan, PlannerMode
from models.policies import EgressPolicy, PlanApprovalMode, ProjectSettings, SessionSettings
from models.tenants import ProjectScope, SessionScope
from models.tools import Idempotency, IntegrationState, NativeBinding, Tool, ToolFailed, ToolOutcome, ToolSucceeded
from planvault.clock import SystemClock, TimeOrderedIds
from planvault.crypto.kek import LocalKeyWrapper
from planvault.ports import CallTarget, ToolCall, ToolWorkers
from planvault.runtime.effects import EffectRunner
from planvault.runtime.host import SessionRuntime
from planvault.storage.bootstrap import ensure_default_tenant
from planvault.storage.commands import Commands
from planvault.storage.events import PostgresEventStore
from planvault.storage.history import HistoryEvent
from planvault.storage.keys import PostgresKeyring
from planvault.storage.leases import PostgresLeases
from planvault.storage.policies import PostgresPolicies
from planvault.storage.pool import Pool, transaction
from planvault.storage.runs import RunRecord, Runs
from planvault.storage.secrets import PostgresSecrets
from planvault.storage.session_store import SessionStore
from planvault.storage.sessions import SessionDraft, Sessions
from planvault.storage.signals import PostgresSignals

SHARDS = 8
LEASE_S = 2.0

Answer = Callable[[ToolCall], Any]


@dataclass
class World:
    """What is outside: one catalog, one planner that gives `plan`, and services that answer by tool name."""

    plan: Plan
    tools: dict[str, Tool] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    calls: list[ToolCall] = field(default_factory=list)
    planned: list[PlanRequest] = field(default_factory=list)
    instruction: str = ""  # of the scenario that every prompt matches

    def tool(self, name: str, answer: Answer, idempotency: Idempotency = Idempotency.SAFE) -> None:
        self.answers[name] = answer
        self.tools[name] = Tool(
            id=ToolId(UUID(int=1000 + len(self.tools))),
            org_id=TimeOrderedIds().new(),  # type: ignore[arg-type]
            integration_id=IntegrationId(UUID(int=7)),
            name=name,
            group="test",
            binding=NativeBinding(function=name),
            idempotency=idempotency,
            timeout_s=0.5,
        )

    # ToolSelector
    async def select(self, scope: ProjectScope, query: str, options: SelectionOptions | None = None) -> Selection:
        found = tuple(
            Candidate(tool_id=tool.id, version=1, name=tool.name, group="test", score=1.0)
            for tool in self.tools.values()
        )
        return Selection(
            tier=SelectionTier.DIRECT, catalog_size=len(found), shortlist=found, instruction=self.instruction
        )

    # Planner
    async def plan_(self, request: PlanRequest) -> PlanOutcome:
        self.planned.append(request)
        return PlanOutcome(plan=self.plan, planner="twin", mode=PlannerMode.PYTHON_DSL)

    # ToolExecutor
    async def execute(self, call: ToolCall) -> ToolOutcome:
        self.calls.append(call)
        answer = self.answers[call.tool.name](call)
        if asyncio.iscoroutine(answer):
            answer = await answer
        return answer if isinstance(answer, ToolSucceeded | ToolFailed) else ToolSucceeded(value=answer)


class CatalogTwin:
    def __init__(self, world: World) -> None:
        self._world = world

    async def tools(self, scope: ProjectScope, ids: Sequence[tuple[ToolId, int]]) -> list[Tool]:
        by_id = {tool.id: tool for tool in self._world.tools.values()}
        return [by_id[tool_id] for tool_id, _ in ids]

    async def binding(self, scope: ProjectScope, tool: Tool) -> CallTarget:
        return CallTarget("http://service", IntegrationState(), EgressPolicy())


class PlannerTwin:
    def __init__(self, world: World) -> None:
        self._world = world

    async def plan(self, request: PlanRequest) -> PlanOutcome:
        return await self._world.plan_(request)


@dataclass
class Platform:
    """One database, as many hosts as a test starts.

    `quick`: hosts hear of commands at once, as their listener would tell them, and the lease of one that was killed has
    run out already. Otherwise a command waits for the next look, up to a second, and shards for the lease's end.
    """

    pool: Pool
    keyring: PostgresKeyring
    scope: ProjectScope
    world: World
    ids: TimeOrderedIds = field(default_factory=TimeOrderedIds)
    session_store: SessionStore = field(default_factory=lambda: SessionStore(None))
    workers: ToolWorkers | None = None
    quick: bool = False
    hosts: list[SessionRuntime] = field(default_factory=list)

    async def session(self, context_vars: JsonObject | None = None, **settings: Any) -> SessionScope:
        sessions = Sessions(self.pool, self.keyring, self.keyring.pseudonym, SHARDS)
        draft = SessionDraft(context_vars or {}, {}, (), None, SessionSettings.model_validate(settings))
        session_id = SessionId(self.ids.new())
        async with transaction(self.pool) as connection:
            await sessions.insert(connection, self.scope, session_id, draft)
        return SessionScope(**self.scope.model_dump(), session_id=session_id)

    async def says(self, scope: SessionScope, text: str = "do it") -> None:
        await self._enqueue(scope, CommandKind.MESSAGE, Message(message_id=MessageId(self.ids.new()), text=text))

    async def acts(self, scope: SessionScope, kind: CommandKind, **fields: Any) -> None:
        await self._enqueue(scope, kind, Action(**fields))

    async def _enqueue(self, scope: SessionScope, kind: CommandKind, payload: Message | Action) -> None:
        commands = Commands(self.pool, self.keyring, self.ids)
        async with transaction(self.pool) as connection:
            await commands.enqueue(connection, scope, kind, payload)
        await commands.wake(shard_of(scope.session_id, SHARDS))
        self.wake()

    def wake(self) -> None:
        for runtime in self.hosts if self.quick else ():
            runtime.wake()

    async def history(self, scope: SessionScope) -> list[HistoryEvent]:
        return await self.session_store.history(self.pool, self.keyring).newest(scope, None, 1_000)

    async def record(self, scope: SessionScope) -> list[Event]:
        """Every event, engine's included, from the newest snapshot on."""
        with self.session_store.events(self.pool, self.keyring, "reader") as store:
            return await store.load(scope)

    async def runs(self, scope: SessionScope) -> list[RunRecord]:
        return await Runs(self.pool, self.keyring).page(scope, None, 100)

    async def saw(self, scope: SessionScope, type_: EventType, times: int = 1, patience_s: float = 15.0) -> None:
        """Wait until the history holds the event so many times."""

        async def there() -> bool:
            return sum(event.type is type_ for event in await self.history(scope)) >= times

        await eventually(there, patience_s, f"{type_.value} ×{times}")

    @asynccontextmanager
    async def host(self, name: str, executor: Any = None, store: Any = None) -> AsyncIterator[SessionRuntime]:
        """A running host; cancelled without goodbye when the block ends, as a kill would."""
        with ExitStack() as opened:

            def configured(pool: Pool, keyring: PostgresKeyring, owner: str) -> Any:
                return opened.enter_context(self.session_store.events(pool, keyring, owner))

            runtime = self.runtime(name, executor, store or configured)
            task = asyncio.create_task(runtime.run())
            self.hosts.append(runtime)
            try:
                yield runtime
            finally:
                self.hosts.remove(runtime)
                task.cancel()
                for session in list(runtime._live.values()):  # a killed process runs nothing on
                    session.drop()
                await asyncio.gather(task, return_exceptions=True)
                if self.quick:
                    aged = "UPDATE hosts SET heartbeat_at = heartbeat_at - interval '1 minute' WHERE id = $1"
                    await self.pool.execute(aged, runtime.ownership._host)

    def runtime(self, name: str, executor: Any = None, store: Any = None) -> SessionRuntime:
        clock = SystemClock()
        host = f"{name}-{self.ids.new()}"
        runner = EffectRunner(
            selector=self.world,
            catalog=CatalogTwin(self.world),
            planner=PlannerTwin(self.world),
            executor=executor or self.world,
            secrets=PostgresSecrets(self.pool, self.keyring, self.ids),
            signals=PostgresSignals(self.pool, self.keyring, self.keyring, "http://api"),
            policies=PostgresPolicies(self.pool, self.keyring),
            monotonic=clock.monotonic,
            workers=self.workers,
        )
        return SessionRuntime(
            host,
            (store or PostgresEventStore)(self.pool, self.keyring, host),
            PostgresLeases(self.pool, host, "test", LEASE_S),
            runner,
            clock,
            self.ids,
            shards=SHARDS,
            lease_s=LEASE_S,
        )


async def eventually(
    check: Callable[[], Any], patience_s: float = 15.0, what: str = "the condition", pause_s: float = 0.02
) -> None:
    """Ask until it holds."""
    deadline = asyncio.get_running_loop().time() + patience_s
    while asyncio.get_running_loop().time() < deadline:
        held = check()
        if asyncio.iscoroutine(held):
            held = await held
        if held:
            return
        await asyncio.sleep(pause_s)
    raise AssertionError(f"{what} did not come true within {patience_s} s")


async def open_platform(pool: Pool, folder: Path, world: World) -> Platform:
    ids = TimeOrderedIds()
    keyring = PostgresKeyring(pool, LocalKeyWrapper.at(folder / "keyset.json"), ids)
    tenant = await ensure_default_tenant(pool, ids)
    settings = ProjectSettings(plan_approval_mode=PlanApprovalMode.AUTO).model_dump(mode="json")
    await pool.execute("UPDATE projects SET settings = $2 WHERE id = $1", tenant.project_id, settings)
    scope = ProjectScope(org_id=tenant.org_id, project_id=tenant.project_id)
    return Platform(pool, keyring, scope, world, ids)
