"""Hosts that own shards of one database and append to one medium: what the event store's contract is tested with."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from models.audit import AuditAction, AuditRow
from models.commands import Command
from models.events import Event, EventType, Visibility
from models.ids import RunId, shard_of
from models.runs import RunStatus
from models.tenants import OrgScope, SessionScope
from planvault.ports import Append, InboxEntry, RunRow, ShardLease, UnreadableEntry
from planvault.runtime.host import Store
from planvault.storage.audit import AuditFilter, AuditLog
from planvault.storage.leases import PostgresLeases
from planvault.storage.pool import Pool
from tests.integration.runtime.harness import LEASE_S, SHARDS, Platform

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Medium(Protocol):
    """What a store keeps its events in, and how a test gets at it from behind."""

    def open(self, pool: Pool, platform: Platform, owner: str) -> AbstractContextManager[Store]:
        """A store on whose behalf `owner` appends: a host's own."""
        ...

    async def damage(self, scope: SessionScope, seq: int) -> None:
        """Change a byte of the event's payload."""
        ...

    async def age(self, scope: SessionScope, seq: int) -> None:
        """Make the event one of a newer build."""
        ...

    def commit_of(self, scope: SessionScope) -> bytes:
        """Bytes on the wire to the database with which an append of this session is committed."""
        ...


@dataclass
class Owner:
    """One host: what it appends for a session, under which lease."""

    platform: Platform
    store: Store
    name: str
    scope: SessionScope
    lease: ShardLease
    seq: int = 0

    def next(self, *payloads: dict[str, Any], type_: EventType = EventType.RUN_PHASE, **more: Any) -> Append:
        """Events behind the newest one, not yet written."""
        visibility = Visibility.ENGINE if type_ is EventType.SNAPSHOT else Visibility.HISTORY
        events = [
            Event(
                session_id=self.scope.session_id,
                seq=self.seq + number,
                type=type_,
                visibility=visibility,
                at=NOON + timedelta(seconds=self.seq + number),
                payload=payload,
            )
            for number, payload in enumerate(payloads, start=1)
        ]
        return Append(self.scope, self.lease, tuple(events), **more)

    async def append(self, *payloads: dict[str, Any], type_: EventType = EventType.RUN_PHASE, **more: Any) -> None:
        append = self.next(*payloads, type_=type_, **more)
        assert await self.store.append([append]) == {self.lease.shard}
        self.seq += len(payloads)

    async def payloads(self) -> list[Any]:
        return [event.payload for event in await self.store.load(self.scope)]


@dataclass
class Shop:
    """Owners on one database and one medium."""

    platform: Platform
    medium: Medium
    url: str
    opened: list[AbstractContextManager[Store]] = field(default_factory=list)

    def store(self, owner: str, pool: Any = None) -> Store:
        context = self.medium.open(pool or self.platform.pool, self.platform, owner)
        self.opened.append(context)
        return context.__enter__()

    def close(self) -> None:
        for context in self.opened:
            context.__exit__(None, None, None)

    async def owner(self, scope: SessionScope | None = None, pool: Any = None) -> Owner:
        """A host that has just taken the session's shard, from whoever had it."""
        scope = scope or await self.platform.session()
        name = f"host-{self.platform.ids.new()}"
        return Owner(self.platform, self.store(name, pool), name, scope, await self.take(scope, name))

    async def take(self, scope: SessionScope, name: str) -> ShardLease:
        leases = PostgresLeases(self.platform.pool, name, "test", LEASE_S)
        await leases.create_shards(SHARDS)
        await leases.beat()
        shard = shard_of(scope.session_id, SHARDS)
        await self.platform.pool.execute("UPDATE shard_owner SET owner = NULL WHERE shard = $1", shard)
        [lease] = await leases.acquire([shard])
        return lease

    async def session_of_another_shard(self, scope: SessionScope) -> SessionScope:
        other = await self.platform.session()
        while shard_of(other.session_id, SHARDS) == shard_of(scope.session_id, SHARDS):
            other = await self.platform.session()
        return other

    async def command(self, scope: SessionScope) -> Command:
        """A message that waits for the session's owner."""
        await self.platform.says(scope)
        [entry] = [entry for entry in await self.waiting(scope) if isinstance(entry, InboxEntry)]
        return entry.command

    async def waiting(self, scope: SessionScope) -> list[InboxEntry | UnreadableEntry]:
        lease = ShardLease(shard_of(scope.session_id, SHARDS), 0)
        return [e for e in await self.store("reader").waiting([lease], 100) if e.scope == scope]

    async def audited(self, scope: SessionScope) -> list[AuditRow]:
        chosen = AuditFilter(session_id=scope.session_id)
        log = AuditLog(self.platform.pool, self.platform.keyring)
        page = await log.page(OrgScope(org_id=scope.org_id), chosen, None, 10)
        return [entry.row for entry in page.entries]

    def run(self, status: RunStatus = RunStatus.EXECUTING, wake_at: datetime | None = None) -> RunRow:
        return RunRow(RunId(self.platform.ids.new()), status, None, {"kind": "slots"}, None, wake_at)

    def audit(self, scope: SessionScope) -> AuditRow:
        return AuditRow(
            id=self.platform.ids.new(),
            at=NOON,
            action=AuditAction.PLAN_APPROVED,
            details={"actor": "tester"},
            project_id=scope.project_id,
            session_id=scope.session_id,
        )


class Away:
    """A pool whose server does not answer."""

    async def _refuse(self, *_: object, **__: object) -> None:
        raise ConnectionRefusedError("nobody listens")

    fetch = fetchrow = fetchval = execute = _refuse

    def acquire(self, *_: object, **__: object) -> Any:
        raise ConnectionRefusedError("nobody listens")


def replace_store(owner: Owner, by: Owner) -> Owner:
    """The same session, written by another host's store."""
    return replace(owner, store=by.store, name=by.name)


async def same_shard(shop: Shop, scope: SessionScope) -> SessionScope:
    other = await shop.platform.session()
    while shard_of(other.session_id, SHARDS) != shard_of(scope.session_id, SHARDS):
        other = await shop.platform.session()
    return other
