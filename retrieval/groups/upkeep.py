"""Keeps the groups equal to the catalog: what changed is grouped anew, everything else stays as it is.

Vectors are clustered outside of any transaction and written under the index's lock if the members are still those that
were read. So imports of one organisation run side by side, and whoever comes last writes what is true.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from uuid import UUID

import structlog

from models.ids import IntegrationId, ToolId
from models.tenants import OrgScope
from planvault.errors import Unavailable
from planvault.ports import Ids
from planvault.storage import tool_groups, tool_index
from planvault.storage.pool import Connection, Pool, Queryable
from planvault.storage.tenancy import scoped, within
from planvault.storage.tool_groups import EmbeddedTool, GroupContent, GroupRow
from retrieval.groups.planning import RULES, Member, PlannedGroup, bases, plan_base

_log = structlog.get_logger(__name__)

# Looks at one integration; each but the last finds what others changed while the one before was at work.
_LOOKS: Final = 5
# Members written in one transaction (a larger base is written whole): others who change the index wait for its lock.
_BATCH: Final = 2_000
# Integrations that one look for stale ones takes.
_STALE: Final = 64
# As long as an import waits (planvault.ingestion.store): thousands of rows are written between two statements.
_PATIENCE: Final = "SET LOCAL idle_in_transaction_session_timeout = '5min'; SET LOCAL lock_timeout = '5min'"


@dataclass(frozen=True, slots=True)
class Regrouped:
    """`bases`: how many were computed; `groups`: into how many groups; `removed`: bases that are gone."""

    bases: int = 0
    groups: int = 0
    removed: int = 0

    def __add__(self, other: "Regrouped") -> "Regrouped":
        return Regrouped(self.bases + other.bases, self.groups + other.groups, self.removed + other.removed)


@dataclass(frozen=True, slots=True)
class _Base:
    """A base as it was read. `digest`: of its members, the model and the rules."""

    name: str
    groups: tuple[str, ...]
    size: int
    digest: bytes


class GroupKeeper:
    """`model`: of the vectors to group."""

    def __init__(self, pool: Pool, ids: Ids, model: str) -> None:
        self._pool = pool
        self._ids = ids
        self._model = model

    async def regroup(self, scope: OrgScope, integration_id: IntegrationId) -> Regrouped:
        """Bring the integration's groups up to its tools; cheap where nothing changed.

        To be called when an import has embedded what it stored. Raises Unavailable where others change the integration
        faster than it can be grouped: what was written is right as far as it goes, and `heal` finds the rest.
        """
        done = Regrouped()
        db = scoped(self._pool, scope)
        for _ in range(_LOOKS):
            # Read first: what is changed from here on leaves the integration behind its revision, to be found again.
            revision = await tool_groups.revision_of(db, scope, integration_id)
            if revision is None:
                return done
            wanted = await self._wanted(db, scope, integration_id)
            stored = await tool_groups.stored_bases(db, scope, integration_id)
            touched = [base for base in wanted.values() if stored.get(base.name) != base.digest]
            gone = stored.keys() - wanted.keys()
            strays = await tool_groups.strays(db, scope, integration_id, self._model)
            if not (touched or gone or strays):
                await tool_groups.record_progress(
                    db, scope, integration_id, revision=revision, rules=RULES, model=self._model
                )
                return done
            for batch in _batches(touched):
                done += await self._group(scope, integration_id, batch)
            if gone or strays:
                done += await self._clear(scope, integration_id, gone)
        raise Unavailable("The integration's tools change faster than they can be grouped; it is tried again.")

    async def heal(self) -> int:
        """Group every integration, of all organisations, whose groups lag behind; returns how many did.

        For the start (databases from before there were groups) and for idle times: whatever changed tools without
        grouping them is found here.
        """
        healed, after = 0, None
        while stale := await tool_groups.stale(self._pool, RULES, self._model, _STALE, after=after):
            for scope, integration_id in stale:
                healed += await self.follow(scope, integration_id)
            after = stale[-1]
        return healed

    async def follow(self, scope: OrgScope, integration_id: IntegrationId) -> bool:
        """Regroup where that succeeds; False where it is left to the next `heal`. For those who need not know."""
        log = _log.bind(org_id=str(scope.org_id), integration_id=str(integration_id))
        try:
            done = await self.regroup(scope, integration_id)
        except Unavailable:
            log.warning("groups.changing_too_fast")
            return False
        log.debug("groups.healed", bases=done.bases, groups=done.groups, removed=done.removed)
        return True

    async def _wanted(self, db: Queryable, scope: OrgScope, integration_id: IntegrationId) -> dict[str, _Base]:
        """The bases that the integration's tools make now, by name."""
        contents = await tool_groups.contents(db, scope, integration_id, self._model)
        found = bases({group: content.size for group, content in contents.items()})
        return {name: self._base(name, groups, contents) for name, groups in found.items()}

    def _base(self, name: str, groups: tuple[str, ...], contents: Mapping[str, GroupContent]) -> _Base:
        digest = sha256(f"{RULES} {self._model}".encode())
        for group in groups:
            digest.update(contents[group].members_sha256)
        return _Base(name, groups, sum(contents[group].size for group in groups), digest.digest())

    async def _group(self, scope: OrgScope, integration_id: IntegrationId, batch: Sequence[_Base]) -> Regrouped:
        """Compute and write these bases, as far as their members stay what they are."""
        groups = [group for base in batch for group in base.groups]
        tools = await tool_groups.members(scoped(self._pool, scope), scope, integration_id, self._model, groups)
        planned = await asyncio.to_thread(_plan, batch, tools)
        async with within(self._pool, scope) as connection:
            await connection.execute(_PATIENCE)
            await tool_index.next_revision(connection, scope, {integration_id})
            now = await self._wanted(connection, scope, integration_id)
            valid = {base: planned[base] for base in batch if now.get(base.name) == base}
            await self._write(connection, scope, integration_id, valid)
        return Regrouped(len(valid), sum(map(len, valid.values())))

    async def _write(
        self,
        connection: Connection,
        scope: OrgScope,
        integration_id: IntegrationId,
        planned: Mapping[_Base, Sequence[PlannedGroup]],
    ) -> None:
        """A part of a base keeps its id, whatever it is made of: who holds an id finds what took its place."""
        known = await tool_groups.ids_of(connection, scope, integration_id, [base.name for base in planned])
        rows: list[GroupRow] = []
        places: dict[ToolId, UUID | None] = {}
        for base, groups in planned.items():
            for group in groups:
                group_id = known.pop((group.base, group.part), None) or self._ids.new()
                rows.append(_row(group_id, base.digest, group))
                places.update(dict.fromkeys(group.tools, group_id))
        await tool_groups.upsert(connection, scope, integration_id, self._model, rows)
        await tool_groups.delete(connection, scope, integration_id, list(known.values()))
        await tool_index.set_groups(connection, scope, integration_id, places)

    async def _clear(self, scope: OrgScope, integration_id: IntegrationId, gone: set[str]) -> Regrouped:
        """Remove bases that no tool makes any more, and take tools out of groups that they do not belong to."""
        async with within(self._pool, scope) as connection:
            await connection.execute(_PATIENCE)
            await tool_index.next_revision(connection, scope, {integration_id})
            gone -= (await self._wanted(connection, scope, integration_id)).keys()
            ids = await tool_groups.ids_of(connection, scope, integration_id, sorted(gone))
            await tool_groups.delete(connection, scope, integration_id, list(ids.values()))
            strays = await tool_groups.strays(connection, scope, integration_id, self._model)
            await tool_index.set_groups(connection, scope, integration_id, strays)
        return Regrouped(removed=len(gone))


def _plan(batch: Sequence[_Base], tools: Sequence[EmbeddedTool]) -> dict[_Base, list[PlannedGroup]]:
    owners = {group: base for base in batch for group in base.groups}
    members: dict[_Base, list[Member]] = {base: [] for base in batch}
    for tool in tools:
        members[owners[tool.group]].append(Member(tool.tool_id, tool.name, tool.group, tool.vector))
    return {base: plan_base(base.name, found) for base, found in members.items()}


def _batches(touched: Sequence[_Base]) -> Iterator[list[_Base]]:
    """In their order, at most _BATCH members each, or one base."""
    batch: list[_Base] = []
    for base in touched:
        if batch and sum(each.size for each in batch) + base.size > _BATCH:
            yield batch
            batch = []
        batch.append(base)
    if batch:
        yield batch


def _row(group_id: UUID, digest: bytes, group: PlannedGroup) -> GroupRow:
    return GroupRow(
        id=group_id,
        base=group.base,
        part=group.part,
        parts=group.parts,
        name=group.name,
        size=group.size,
        base_size=group.base_size,
        coherence=group.coherence,
        base_coherence=group.base_coherence,
        reach=group.reach,
        routing=group.routing,
        members_sha256=digest,
        centroid=group.centroid,
    )
