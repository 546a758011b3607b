"""The file of an export at rest: sealed chunk by chunk in the database, read back the same way."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from models.tenants import OrgScope
from planvault.crypto.chunks import CHUNK_BYTES
from planvault.errors import DecryptionFailed, NotFound
from planvault.ports import Keyring, OrgCipher
from planvault.privacy.archive import Archive
from planvault.storage.pool import Pool
from planvault.storage.privacy import SQL
from planvault.storage.privacy_claims import HOLD, Claim, ClaimLost
from planvault.storage.sealed import export_chunk_seal
from planvault.storage.tenancy import scoped, within

_CHUNKS_A_READ = 4


class FileWriter:
    """Takes an archive's bytes away and writes them down; one chunk waits, since it may be the last."""

    def __init__(self, pool: Pool, claim: Claim, cipher: OrgCipher, archive: Archive) -> None:
        self._pool = pool
        self._claim = claim
        self._cipher = cipher
        self._archive = archive
        self._digest = hashlib.sha256()
        self._size = 0
        self._position = 0

    async def flush(self) -> None:
        """Full chunks of what waits. Raises ClaimLost."""
        while self._archive.waiting > CHUNK_BYTES:
            await self._write(last=False)

    async def finish(self, keep: timedelta) -> None:
        """The archive is closed. Raises ClaimLost."""
        await self.flush()
        await self._write(last=True)
        request = self._claim.request
        async with within(self._pool, self._claim.scope) as connection:
            done = (self._size, self._position, self._digest.digest(), keep)
            if await connection.fetchval(SQL["finish_file"], *self._claim.place, request.attempts, *done) is None:
                raise ClaimLost

    async def _write(self, *, last: bool) -> None:
        part = self._archive.take(CHUNK_BYTES)
        self._digest.update(part)
        self._size += len(part)
        sealed = self._cipher.seal(part, export_chunk_seal(self._claim.request.id, self._position, last=last))
        async with within(self._pool, self._claim.scope) as connection:
            place = (*self._claim.place, self._claim.request.attempts)
            if await connection.fetchval(SQL["add_chunk"], *place, self._position, sealed, HOLD) is None:
                raise ClaimLost
        self._position += 1


@dataclass(frozen=True, slots=True)
class FileHead:
    size: int
    chunks: int
    sha256: bytes
    sealed_for: bytes | None


class ExportFiles:
    """Finished files, as the API gives them out."""

    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring

    async def head(self, scope: OrgScope, request_id: UUID) -> FileHead:
        """Raises NotFound for one that is not finished, has expired, or was deleted."""
        row = await scoped(self._pool, scope).fetchrow(SQL["file"], scope.org_id, request_id)
        if row is None:
            raise NotFound("The export has no file: it is not completed, was deleted, or has expired.")
        return FileHead(row["size"], row["chunks"], row["sha256"], row["sealed_for"])

    async def parts(self, scope: OrgScope, request_id: UUID, head: FileHead) -> AsyncIterator[bytes]:
        """The content in order. Raises DecryptionFailed where a chunk is missing, moved or changed."""
        cipher = await self._keyring.subject_cipher(scope.org_id, head.sealed_for)
        start = 0
        while start < head.chunks:
            rows = await scoped(self._pool, scope).fetch(SQL["chunks"], scope.org_id, request_id, start, _CHUNKS_A_READ)
            if [row["position"] for row in rows] != list(range(start, start + len(rows))) or not rows:
                raise DecryptionFailed("A chunk of the export is missing: it was deleted meanwhile.")
            for row in rows:
                last = row["position"] == head.chunks - 1
                yield cipher.open(row["payload"], export_chunk_seal(request_id, row["position"], last=last))
            start += len(rows)
