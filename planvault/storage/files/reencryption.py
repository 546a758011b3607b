"""Event files under an old data key, written anew under the one that seals now (docs/encryption.md).

Their owners do not append to them any more: the database accepts nothing under a key that was retired. Only pruning and
the removal of sessions are met here, and whoever comes second leaves its file to be swept up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any
from uuid import UUID

import structlog

from models.ids import OrgId, SessionId
from models.tenants import OrgScope
from planvault.crypto.envelope import read_header
from planvault.errors import DecryptionFailed, RecordDamaged
from planvault.ports import Keyring, OrgCipher
from planvault.storage.files import replacing
from planvault.storage.files.folder import EventFolder
from planvault.storage.files.frame import decode, encode, places
from planvault.storage.files.reader import Committed, of_row, read_now
from planvault.storage.files.replacing import Overtaken, Place, Rewritten
from planvault.storage.files.rewriting import Kept
from planvault.storage.history import event_seal
from planvault.storage.pool import Pool, transaction
from planvault.storage.queries import load
from planvault.storage.tenancy import within

_SQL = load("planvault.storage", "sql/rotation.sql")
_FILES = 16
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Page:
    """Some files. `after`: where the next page begins. `found`, `reencrypted`: events; a file that cannot be read is
    one found and `unreadable`."""

    after: Sequence[Any]
    found: int = 0
    reencrypted: int = 0
    unreadable: int = 0

    def and_(self, found: int, reencrypted: int, unreadable: int) -> Page:
        counts = (self.found + found, self.reencrypted + reencrypted, self.unreadable + unreadable)
        return Page(self.after, *counts)


class FileReencryption:
    """`pool`: of the platform. `old`: the data keys that are to be left behind."""

    def __init__(
        self, pool: Pool, keyring: Keyring, folder: EventFolder, org_id: OrgId, old: Sequence[UUID], files: int = _FILES
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._folder = folder
        self._scope = OrgScope(org_id=org_id)
        self._old = list(old)
        self._files = files

    async def page(self, after: Sequence[Any]) -> Page | None:
        """The files behind `after` ([] at first); None: there are no more."""
        async with within(self._pool, self._scope) as connection:
            rows = await connection.fetch(_SQL["old_files"], self._scope.org_id, self._old, list(after), self._files)
        if not rows:
            return None
        page = Page([str(rows[-1]["session_id"]), rows[-1]["epoch"], rows[-1]["part"]])
        for (session_id, shard, subject), group in groupby(
            rows, key=lambda row: (row["session_id"], row["shard"], row["subject"])
        ):
            place = Place(self._scope.org_id, SessionId(session_id), shard)
            segments = [of_row(self._folder, place.session_id, row) for row in group]
            cipher = await self._keyring.subject_cipher(self._scope.org_id, subject)
            page = page.and_(*await self._session(place, segments, cipher))
        return page

    async def _session(self, place: Place, segments: Sequence[Committed], cipher: OrgCipher) -> tuple[int, int, int]:
        """Events found and re-encrypted, files that could not be read. All of the session's in one transaction."""
        rewritten: list[Rewritten] = []
        events, unreadable, moved = 0, 0, 0
        for segment in segments:  # one in memory at a time
            try:
                anew = await asyncio.to_thread(_resealed, place.session_id, segment, cipher)
            except (DecryptionFailed, RecordDamaged) as fault:
                if not await self._counts(place, segment):
                    moved += 1  # pruned, or its session is gone: the next walk meets what is left
                    continue
                unreadable += 1
                _log.error("rotation.unreadable", column="event files", file=str(segment.path), cause=fault.detail)
                continue
            if anew.key_id in self._old:  # its owner has no newer key
                moved += 1
                continue
            kept = Kept(anew.data, segment.snapshot_at, dropped=0)  # as long as before, so everything is where it was
            rewritten.append(await replacing.write(self._pool, self._folder, place, (segment,), kept, anew.key_id))
            events += anew.events
        try:
            async with transaction(self._pool) as connection:
                await replacing.replace(connection, place, rewritten)
        except Overtaken:
            return events + moved + unreadable, 0, unreadable
        return events + moved + unreadable, events, unreadable

    async def _counts(self, place: Place, segment: Committed) -> bool:
        async with within(self._pool, self._scope) as connection:
            values = (place.org_id, place.session_id, segment.epoch, segment.part, segment.revision)
            return bool(await connection.fetchval(_SQL["file_counts"], *values))


@dataclass(frozen=True, slots=True)
class _Anew:
    data: bytes
    events: int
    key_id: UUID


def _resealed(session_id: SessionId, segment: Committed, cipher: OrgCipher) -> _Anew:
    """Blocking. Raises DecryptionFailed, RecordDamaged: a file is written anew as a whole, or left as it is."""
    data = read_now(segment.path, 0, segment.size)
    key_id = read_header(cipher.seal(b"", event_seal(session_id, 0))).key_id
    frames = list(_frames(session_id, data, cipher, key_id))
    return _Anew(b"".join(frames), len(frames), key_id)


def _frames(session_id: SessionId, data: bytes, cipher: OrgCipher, key_id: UUID) -> Iterator[bytes]:
    for place in places(data):
        frame = decode(data, place.offset)
        seal = event_seal(session_id, frame.seq)
        payload = cipher.seal(cipher.open(frame.payload, seal), seal)
        if read_header(payload).key_id != key_id:
            raise AssertionError("the keys of a cipher changed while a file was sealed with them")
        yield encode(replace(frame, payload=payload))
