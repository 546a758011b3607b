"""History out of files: what `planvault.storage.history` reads out of the database."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from models.ids import OrgId, SessionId
from models.tenants import SessionScope
from planvault.ports import Keyring, OrgCipher
from planvault.storage.files.folder import EventFolder
from planvault.storage.files.frame import Place, decode
from planvault.storage.files.reader import Committed, committed, frames_of, index
from planvault.storage.history import PAGE_BYTES, HistoryEvent, event_seal
from planvault.storage.pool import Pool
from planvault.storage.queries import load
from planvault.storage.tenancy import scoped

_SQL = load("planvault.storage", "sql/event_files.sql")
_MOST_INDEXES = 1_024  # segments whose headers are remembered; viewers ask for the same few again and again

_Found = tuple[Path, Place]


@dataclass(slots=True)
class _Index:
    size: int = 0
    history: list[Place] = field(default_factory=list)


class FileHistory:
    """Implements HistoryReader. Needs the folder that the hosts write, on this machine."""

    def __init__(self, pool: Pool, keyring: Keyring, folder: EventFolder) -> None:
        self._pool = pool
        self._keyring = keyring
        self._folder = folder
        self._indexes: OrderedDict[Path, _Index] = OrderedDict()

    async def newest(self, scope: SessionScope, before: int | None, limit: int) -> list[HistoryEvent]:
        found: list[_Found] = []
        for segment in reversed(await self._segments(scope)):
            if before is not None and segment.first_seq >= before:
                continue
            there = await self._history(segment)
            found += [(segment.path, place) for place in reversed(there) if before is None or place.seq < before]
            if len(found) >= limit:
                break
        return await self._opened(scope, _bounded(found, limit, PAGE_BYTES)[::-1])

    async def after(
        self, scope: SessionScope, seq: int, limit: int, most_bytes: int = PAGE_BYTES
    ) -> list[HistoryEvent]:
        found: list[_Found] = []
        for segment in await self._segments(scope):
            if segment.last_seq <= seq:
                continue
            found += [(segment.path, place) for place in await self._history(segment) if place.seq > seq]
            if len(found) >= limit:
                break
        return await self._opened(scope, _bounded(found, limit, most_bytes))

    async def has_before(self, scope: SessionScope, seq: int) -> bool:
        for segment in await self._segments(scope):
            if any(place.seq < seq for place in await self._history(segment)):
                return True
        return False

    async def heads(self, sessions: Collection[tuple[OrgId, SessionId]]) -> dict[SessionId, int]:
        orgs = [org_id for org_id, _ in sessions]
        ids = [session_id for _, session_id in sessions]
        return {row["session_id"]: row["seq"] for row in await self._pool.fetch(_SQL["heads"], orgs, ids)}

    async def _segments(self, scope: SessionScope) -> list[Committed]:
        return await committed(scoped(self._pool, scope), self._folder, scope.org_id, scope.session_id)

    async def _history(self, segment: Committed) -> list[Place]:
        """Where the segment's history events lie. A segment only grows, so only what is new is looked through."""
        known = self._indexes.setdefault(segment.path, _Index())
        self._indexes.move_to_end(segment.path)
        if known.size < segment.size:
            fresh = await index(segment.path, known.size, segment.size)
            known = _Index(segment.size, known.history + [place for place in fresh if place.is_history])
            self._indexes[segment.path] = known
        if len(self._indexes) > _MOST_INDEXES:
            self._indexes.popitem(last=False)
        end = segment.size  # a reader beside us may have seen a longer one
        return [place for place in known.history if place.offset < end]

    async def _opened(self, scope: SessionScope, found: Sequence[_Found]) -> list[HistoryEvent]:
        if not found:
            return []
        cipher = await self._keyring.session_cipher(scope)
        events: list[HistoryEvent] = []
        for path, group in _by_path(found):
            events += [_event(scope, frame, cipher) for frame in await frames_of(path, group)]
        return events


def _bounded(found: Sequence[_Found], limit: int, most_bytes: int) -> list[_Found]:
    """The first of `found` within both bounds, and one in any case."""
    taken: list[_Found] = []
    room = most_bytes
    for item in found[:limit]:
        room -= item[1].size
        if taken and room < 0:
            break
        taken.append(item)
    return taken


def _by_path(found: Iterable[_Found]) -> Iterable[tuple[Path, list[Place]]]:
    group: list[Place] = []
    last: Path | None = None
    for path, place in found:
        if last is not None and path != last:
            yield last, group
            group = []
        last = path
        group.append(place)
    if last is not None:
        yield last, group


def _event(scope: SessionScope, frame: bytes, cipher: OrgCipher) -> HistoryEvent:
    event = decode(frame)
    payload = orjson.loads(cipher.open(event.payload, event_seal(scope.session_id, event.seq)))
    return HistoryEvent(event.seq, event.type, event.run_id, event.at, payload)
