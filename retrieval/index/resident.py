"""The index in process memory: copies of organisations' tools, kept equal to Postgres by revision.

Postgres stays the source of truth and answers whenever a copy is cold, behind or not worth its memory; a search never
waits for a load. A copy answers only where its revision is the one that the database has when the search begins.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

import structlog
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.ids import IntegrationId, OrgId, ToolId
from models.tenants import ProjectScope
from planvault.clock import SystemClock
from planvault.ports import Clock
from planvault.storage.pool import Pool, is_away
from planvault.storage.queries import load
from planvault.storage.tenancy import scoped
from retrieval.embedding import EMBEDDING_MODEL
from retrieval.groups.routed import Routed
from retrieval.groups.router import GroupRouter
from retrieval.index.port import CatalogState, PoolLimits, ToolIndex
from retrieval.index.resident_copy import Copy, View
from retrieval.index.resident_load import read_copy
from retrieval.query import IndexedTool, Query
from retrieval.query import Pool as Candidates

_log = structlog.get_logger(__name__)
_SQL = load("retrieval", "sql/resident.sql")
_T = TypeVar("_T")

# Memory of one tool, for what is decided before it is loaded; docs/resident-index.md says how it was measured.
BYTES_A_TOOL = 2_600


@dataclass(frozen=True, slots=True)
class ResidentOptions:
    """`min_tools`: smaller organisations are Postgres' alone, which searches them within a millisecond.

    `max_bytes`: of all copies together. `keep_s`: a copy that has answered within this time does not make room for
    another: organisations that do not fit beside each other must not load in turns. `retry_s`: between a load that
    failed and the next.
    """

    max_bytes: int
    min_tools: int = 200
    keep_s: float = 60.0
    retry_s: float = 5.0


@dataclass(slots=True)
class _Held:
    copy: Copy
    used: float


class ResidentIndex:
    """Implements ToolIndex and GroupRouter in process, in front of `behind` and `router` (Postgres)."""

    def __init__(
        self,
        pool: Pool,
        behind: ToolIndex,
        router: GroupRouter,
        options: ResidentOptions,
        *,
        model: str = EMBEDDING_MODEL,
        clock: Clock | None = None,
    ) -> None:
        self._pool = pool
        self._behind = behind
        self._router = router
        self._options = options
        self._model = model
        self._clock = clock or SystemClock()
        self._held: OrderedDict[OrgId, _Held] = OrderedDict()  # the longest unused first
        self._loads: dict[OrgId, asyncio.Task[None]] = {}
        self._not_before: dict[OrgId, float] = {}
        # One search and one load at a time: their arithmetic leaves the other cores to the event loop and to others.
        self._searching = ThreadPoolExecutor(1, thread_name_prefix="resident-search")
        self._loading = ThreadPoolExecutor(1, thread_name_prefix="resident-load")
        self._one_load = asyncio.Semaphore(1)

    @asynccontextmanager
    async def open(self) -> "AsyncIterator[ResidentIndex]":
        """Ready until the block ends. Matrix products of this process use one thread from here on."""
        threadpool_limits(limits=1, user_api="blas")
        try:
            yield self
        finally:
            await self._close()

    async def search(
        self,
        scope: ProjectScope,
        query: Query,
        limits: PoolLimits,
        groups: Sequence[UUID] | None = None,
        include: Sequence[ToolId] = (),
        seen: CatalogState | None = None,
    ) -> Candidates:
        view = await self._view(scope, seen)
        if view is None:
            return await self._behind.search(scope, query, limits, groups, include, seen)
        return await self._away(lambda: view.search(query, limits, groups, include))

    async def producers(
        self,
        scope: ProjectScope,
        integrations: Sequence[IntegrationId],
        entities: Sequence[str],
        limit: int,
        seen: CatalogState | None = None,
    ) -> list[IndexedTool]:
        view = await self._view(scope, seen)
        if view is None:
            return await self._behind.producers(scope, integrations, entities, limit, seen)
        return await self._away(lambda: view.producers(integrations, entities, limit))

    async def route(self, scope: ProjectScope, query: Query, top_k: int, seen: CatalogState | None = None) -> Routed:
        view = await self._view(scope, seen)
        if view is None:
            return await self._router.route(scope, query, top_k, seen)
        return await self._away(lambda: view.route(query, top_k))

    @property
    def nbytes(self) -> int:
        """Of all copies."""
        return sum(held.copy.nbytes for held in self._held.values())

    async def caught_up(self) -> None:
        """Wait until no load is under way."""
        while self._loads:
            await asyncio.wait(self._loads.values())

    async def _away(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._searching, work)

    async def _view(self, scope: ProjectScope, seen: CatalogState | None) -> View | None:
        """The project's view of a copy that is neither cold nor behind; None: Postgres answers."""
        state = seen or await self._state(scope)
        if state is None or state.tools < self._options.min_tools:
            self._drop(scope.org_id)
            return None
        held = self._held.get(scope.org_id)
        if held is not None:
            held.used = self._clock.monotonic()
            self._held.move_to_end(scope.org_id)
        if held is None or held.copy.revision < state.revision:
            self._catch_up(scope.org_id, state.tools)
            return None
        return View(held.copy, state.switched_off)

    async def _state(self, scope: ProjectScope) -> CatalogState | None:
        row = await scoped(self._pool, scope).fetchrow(_SQL["state"], scope.org_id, scope.project_id)
        return None if row is None else CatalogState(row["revision"], row["tools"], row["switched_off"])

    def _catch_up(self, org_id: OrgId, tools: int) -> None:
        """Start a load, unless one is under way, one has just failed, or the copy would not fit."""
        if org_id in self._loads or self._clock.monotonic() < self._not_before.get(org_id, 0.0):
            return
        if org_id not in self._held and not self._make_room(tools * BYTES_A_TOOL):
            return
        task = asyncio.create_task(self._load(org_id), name=f"resident-load-{org_id}")
        self._loads[org_id] = task
        task.add_done_callback(lambda done: self._ended(org_id, done))

    def _ended(self, org_id: OrgId, task: asyncio.Task[None]) -> None:
        self._loads.pop(org_id, None)
        if not task.cancelled() and (fault := task.exception()) is not None:
            _log.error("resident_index.load_failed", org_id=str(org_id), exc_info=fault)

    async def _load(self, org_id: OrgId) -> None:
        """Read what the copy lacks. Where the database is away, Postgres' own answers tell the caller so."""
        before = self._held.get(org_id)
        began = self._clock.monotonic()
        try:
            async with self._one_load:
                copy = await read_copy(
                    self._pool, self._loading, org_id, self._model, None if before is None else before.copy
                )
        except Exception as fault:
            self._not_before[org_id] = self._clock.monotonic() + self._options.retry_s
            if not is_away(fault):
                raise
            _log.warning("resident_index.load_postponed", org_id=str(org_id), reason=type(fault).__name__)
            return
        self._not_before.pop(org_id, None)
        self._keep(org_id, copy)
        _log.debug(
            "resident_index.loaded",
            org_id=str(org_id),
            tools=copy.tools,
            bytes=copy.nbytes,
            revision=copy.revision,
            seconds=round(self._clock.monotonic() - began, 3),
        )

    def _keep(self, org_id: OrgId, copy: Copy) -> None:
        self._held.pop(org_id, None)
        if not self._make_room(copy.nbytes):
            self._not_before[org_id] = self._clock.monotonic() + self._options.keep_s
            _log.warning("resident_index.too_large", org_id=str(org_id), tools=copy.tools, bytes=copy.nbytes)
            return
        self._held[org_id] = _Held(copy, self._clock.monotonic())

    def _make_room(self, wanted: int) -> bool:
        """Whether so much fits, at the cost of copies that nobody has asked lately."""
        idle_since = self._clock.monotonic() - self._options.keep_s
        idle = [org_id for org_id, held in self._held.items() if held.used < idle_since]
        free = self._options.max_bytes - self.nbytes
        if free + sum(self._held[org_id].copy.nbytes for org_id in idle) < wanted:
            return False
        for org_id in idle:
            if free >= wanted:
                break
            free += self._held.pop(org_id).copy.nbytes
        return True

    def _drop(self, org_id: OrgId) -> None:
        self._held.pop(org_id, None)

    async def _close(self) -> None:
        loads = list(self._loads.values())
        for task in loads:
            task.cancel()
        if loads:
            await asyncio.wait(loads)
        self._searching.shutdown(wait=False, cancel_futures=True)
        self._loading.shutdown(wait=False, cancel_futures=True)
        self._held.clear()
