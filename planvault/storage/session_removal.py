"""Sessions that go: their events, results, files and rows, in portions that each are a short transaction.

What is left to do is read from the rows themselves, so it may be broken off anywhere and taken up by another process.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models.ids import SessionId
from models.tenants import OrgScope
from planvault.storage.files.folder import EventFolder
from planvault.storage.pool import Connection
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/session_removal.sql")

EVENTS_A_PORTION = 2_000
BLOBS_A_PORTION = 16  # of up to 20 MB


@dataclass(frozen=True, slots=True)
class Removed:
    """Of one portion. `counts`: rows that are gone, by table. `sessions`: those that are gone altogether, and their
    shards; empty while something of theirs is left, and the same call has to be made again."""

    counts: Counter[str]
    sessions: tuple[tuple[int, SessionId], ...] = ()


async def remove_portion(connection: Connection, scope: OrgScope, sessions: Sequence[SessionId]) -> Removed:
    """One portion, inside the caller's transaction. Nobody may append to these sessions any more."""
    place = (scope.org_id, list(sessions))
    for table, most in (("events", EVENTS_A_PORTION), ("blobs", BLOBS_A_PORTION)):
        gone: int = await connection.fetchval(_SQL[table], *place, most)
        if gone:
            return Removed(Counter({table: gone}))
    return await _rows(connection, scope, sessions)


async def _rows(connection: Connection, scope: OrgScope, sessions: Sequence[SessionId]) -> Removed:
    place = (scope.org_id, list(sessions))
    await connection.execute(_SQL["hold"], *place)
    late: int = await connection.fetchval(_SQL["events"], *place, EVENTS_A_PORTION)
    if late:  # of an append that was under way when these sessions were closed off
        return Removed(Counter({"events": late}))
    parts = await connection.fetchrow(_SQL["parts"], *place)
    assert parts is not None, "an aggregate has a row"
    counts = Counter({name: count for name, count in parts.items() if count})
    counts["scheduled_jobs"] += await connection.fetchval(_SQL["jobs"], *place)
    gone = await connection.fetch(_SQL["sessions"], *place)
    counts["sessions"] += len(gone)
    people = sorted({row["external_user_hmac"] for row in gone if row["external_user_hmac"] is not None})
    await connection.execute(_SQL["supporters"], scope.org_id, people)
    return Removed(+counts, tuple((row["shard"], SessionId(row["id"])) for row in gone))


async def remove_folders(folder: EventFolder | None, sessions: Iterable[tuple[int, SessionId]]) -> None:
    """The files of sessions whose rows are gone; None: events are rows."""
    if folder is None:
        return
    paths = [folder.session(shard, session_id) for shard, session_id in sessions]

    def remove() -> None:
        for path in paths:
            if path.exists():
                shutil.rmtree(path)

    await asyncio.to_thread(remove)
