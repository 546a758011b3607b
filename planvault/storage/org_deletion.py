"""Deletion of an organisation: at once for everybody, for good after a week, and what stays is that it happened.

First it is marked: keys, tokens and people are let in nowhere (`organization_is_live`), runs are told to stop, jobs do
not come due. Until its time it can be restored as it was, but for the runs that were stopped. Then a worker destroys
its keys, and its users', before it deletes anything: whatever a later step should miss, nothing opens any more. The
audit log stays for as long as the organisation itself had it kept, with details that nothing opens.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from models.commands import Action, CommandKind
from models.ids import OrgId, SessionId
from models.policies import RetentionSettings
from models.tenants import OrgScope, SessionScope
from planvault.crypto.keyring import REFRESH_AFTER_S
from planvault.errors import Conflict, NotFound
from planvault.storage.commands import Commands
from planvault.storage.files.folder import EventFolder
from planvault.storage.keys import shred_org
from planvault.storage.pool import Connection, Pool, transaction
from planvault.storage.queries import load
from planvault.storage.session_removal import remove_folders
from planvault.storage.tenancy import scoped, stepped_into, within
from planvault.storage.tenants import Witness

_SQL = load("planvault.storage", "sql/org_deletion.sql")
_log = structlog.get_logger(__name__)

RESTORABLE_DAYS = 7
SETTLED_AFTER = timedelta(seconds=REFRESH_AFTER_S + 35)  # longer than a process keeps a key, and a request lasts
_SESSIONS_AT_ONCE = 20
_REST = 1.0  # times the batch before: people of other organisations are at work


@dataclass(frozen=True, slots=True)
class Deletion:
    """What is known of a deletion. `purged_at`: nothing of the organisation is left but this and its audit log."""

    org_id: OrgId
    requested_at: datetime
    requested_by: str
    purge_after: datetime
    restored_at: datetime | None = None
    keys_destroyed: int | None = None
    purge_began_at: datetime | None = None
    purged_at: datetime | None = None
    gone: dict[str, int] = field(default_factory=dict)
    audit_until: datetime | None = None  # how long its audit log stays after it
    audit_forgotten_at: datetime | None = None


class OrganizationDeletions:
    """`delete` is done inside the organisation, over a pool of either role; the rest is the platform's."""

    def __init__(self, pool: Pool, commands: Commands) -> None:
        self._pool = pool
        self._commands = commands

    async def delete(
        self, scope: OrgScope, by: str, witness: Witness | None = None, *, days: float = RESTORABLE_DAYS
    ) -> Deletion:
        """Gone for everybody within 5 s. Raises NotFound, for one that is deleted already as well.

        `by`: label of who asks; it stays. `witness` writes the audit row, in the same transaction.
        """
        async with within(self._pool, scope) as connection:
            deletion, shards = await self.mark(connection, scope, by, days)
            if witness is not None:
                await witness(connection)
        await self.wake(shards)
        return deletion

    async def mark(
        self, connection: Connection, scope: OrgScope, by: str, days: float = RESTORABLE_DAYS
    ) -> tuple[Deletion, set[int]]:
        """The same inside the caller's transaction, which is of that organisation. `days` 0: there is no way back.

        The shards are to be told when it has committed (`wake`). Raises NotFound.
        """
        marked = await connection.fetchrow(_SQL["mark"], scope.org_id, days, by)
        if marked is None:
            raise NotFound("There is no such organisation")
        shards = await self._stop_runs(connection, scope, by)
        return Deletion(scope.org_id, marked["deleted_at"], by, marked["purge_after"]), shards

    async def wake(self, shards: set[int]) -> None:
        for shard in shards:
            await self._commands.wake(shard)

    async def restore(self, scope: OrgScope, witness: Witness | None = None) -> None:
        """As it was, but for the runs that were stopped. Raises NotFound, and Conflict where it is too late."""
        async with transaction(self._pool) as connection:
            found = await connection.fetchrow(_SQL["find"], scope.org_id)
            if found is None:
                raise NotFound("There is no deleted organisation of this id.")
            if await connection.fetchval(_SQL["restore"], scope.org_id) is None:
                raise Conflict("The organisation is not deleted, or its keys are destroyed: it cannot be restored.")
            await connection.execute(_SQL["note_restored"], scope.org_id)
            async with stepped_into(connection, scope):
                await connection.execute(_SQL["restore_requests"], scope.org_id)
                if witness is not None:
                    await witness(connection)

    async def find(self, scope: OrgScope) -> Deletion:
        """Raises NotFound."""
        row = await self._pool.fetchrow(_SQL["find"], scope.org_id)
        if row is None:
            raise NotFound("There is no deleted organisation of this id.")
        return Deletion(**dict(row))

    async def _stop_runs(self, connection: Connection, scope: OrgScope, by: str) -> set[int]:
        """A command each: their hosts end them as they end any other, and say so in the record."""
        shards: set[int] = set()
        for row in await connection.fetch(_SQL["sessions_at_work"], scope.org_id):
            session = SessionScope(org_id=scope.org_id, project_id=row["project_id"], session_id=row["session_id"])
            held = await self._commands.hold(connection, session)
            order = Action(actor=by, reason="The organisation was deleted.")
            await self._commands.enqueue(connection, session, CommandKind.CANCEL, order)
            shards.add(held.shard)
        return shards


class OrganizationPurge:
    """Carries deletions out when their time has come. Killed anywhere, the next one goes on from the rows.

    `folder`: where session events are files; without it they are removed by retention later, by what their rows leave.
    """

    def __init__(
        self,
        pool: Pool,
        folder: EventFolder | None = None,
        *,
        rest: float = _REST,
        settled_after: timedelta = SETTLED_AFTER,
    ) -> None:
        self._pool = pool
        self._folder = folder
        self._rest = rest
        self._settled_after = settled_after

    async def once(self) -> bool:
        """One organisation, as far as it goes. False: none is due, those that are wait, or others have them."""
        async with transaction(self._pool) as connection:
            due = await connection.fetchrow(_SQL["claim"])
            if due is None:
                return await connection.fetchval(_SQL["forget_log"]) is not None
            scope = OrgScope(org_id=due["id"])
            async with stepped_into(connection, scope):
                destroyed = await shred_org(connection, scope)
            await connection.execute(_SQL["begin_purge"], scope.org_id, destroyed, RetentionSettings().audit_days)
        if due["is_new"]:
            _log.info("organization.keys_destroyed", org_id=str(scope.org_id), keys=destroyed)
        await self._close_off(scope)
        return await self._rows(scope) or bool(due["is_new"])

    async def _close_off(self, scope: OrgScope) -> None:
        """First the fences, committed; then until no append is under way that began before them."""
        async with transaction(self._pool) as connection:
            shards = {row["shard"] for row in await connection.fetch(_SQL["fence"], scope.org_id)}
        async with transaction(self._pool) as connection:
            await connection.fetch(_SQL["await_appends"], sorted(shards))

    async def _rows(self, scope: OrgScope) -> bool:
        """Whether nothing is left: the last of it waits until no process can write any more."""
        deletion = await self._pool.fetchrow(_SQL["find"], scope.org_id)
        gone: Counter[str] = Counter({} if deletion is None else deletion["gone"])
        while batch := await self._sessions(scope):
            gone.update(batch)
            await self._pool.execute(_SQL["count_gone"], scope.org_id, dict(gone))
        while batch := await self._batch(scope, "purge_integrations", 1):
            gone["integrations"] += batch["count"]
        gone["events"] += await self._pool.fetchval(_SQL["purge_events"], scope.org_id)
        gone["answers"] += await self._pool.fetchval(_SQL["purge_answers"], scope.org_id)
        async with transaction(self._pool) as connection:
            ended = await connection.fetchval(_SQL["purge_organization"], scope.org_id, self._settled_after)
            await connection.execute(_SQL["count_gone"], scope.org_id, dict(gone))
            if ended is not None:
                await connection.execute(_SQL["finish"], scope.org_id)
        if ended is not None:
            _log.info("organization.purged", org_id=str(scope.org_id), **gone)
        return ended is not None

    async def _sessions(self, scope: OrgScope) -> dict[str, int]:
        """Files first: a row that is left brings the next worker back to them."""
        rows = await scoped(self._pool, scope).fetch(_SQL["next_sessions"], scope.org_id, _SESSIONS_AT_ONCE)
        await remove_folders(self._folder, [(row["shard"], SessionId(row["id"])) for row in rows])
        return await self._batch(scope, "purge_sessions", _SESSIONS_AT_ONCE)

    async def _batch(self, scope: OrgScope, query: str, size: int) -> dict[str, int]:
        """What it deleted, by kind; empty: nothing was left."""
        clock = asyncio.get_running_loop()
        started = clock.time()
        row = await scoped(self._pool, scope).fetchrow(_SQL[query], scope.org_id, size)
        counts = {} if row is None else {name: int(count) for name, count in row.items() if count}
        if counts:
            await asyncio.sleep(self._rest * (clock.time() - started))
        return counts
