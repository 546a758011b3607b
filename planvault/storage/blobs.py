"""Large results: encrypted, in chunks, of one session. Written before the event that references them."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import orjson
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_exponential_jitter

from models.ids import BlobId
from models.results import ResultPlace, Stored
from models.tenants import SessionScope
from planvault.crypto.chunks import CHUNK_BYTES, chunk_seal, open_chunks
from planvault.errors import DecryptionFailed, NotFound
from planvault.ports import Ids, Keyring, OrgCipher, Seal
from planvault.storage.pool import Pool, Queryable, is_away
from planvault.storage.queries import load
from planvault.storage.tenancy import scoped

_SQL = load("planvault.storage", "sql/blobs.sql")
_CHUNKS_A_READ = 8
_SWEPT_AT_ONCE = 100
_PATIENCE_S = 20.0  # how long a writer waits for a database that is away

Purpose = Literal["result", "fragment"]


@dataclass(frozen=True, slots=True)
class BlobHead:
    """What is known of a complete blob before it is read. `kept`: a committed event references it."""

    size: int
    chunks: int
    sha256: str
    media_type: str
    kept: bool
    purpose: Purpose


def subkey_of(scope: SessionScope) -> str:
    return f"session:{scope.session_id}"


def _detail_seal(scope: SessionScope, blob_id: BlobId) -> Seal:
    return Seal(subkey_of(scope), "blobs", str(blob_id), "detail")


class Blobs:
    def __init__(self, pool: Pool, keyring: Keyring, ids: Ids) -> None:
        self._pool = pool
        self._keyring = keyring
        self._ids = ids

    async def begin(self, place: ResultPlace, purpose: Purpose = "result") -> BlobWriter:
        """A blob to be written part by part. Until an append keeps it, it is an orphan."""
        cipher = await self._keyring.session_cipher(place.scope)
        blob_id = BlobId(self._ids.new())
        scope = place.scope
        owner = (scope.org_id, scope.project_id, scope.session_id, place.run_id)
        await _execute(scoped(self._pool, scope), "begin", blob_id, *owner, purpose)
        return BlobWriter(self._pool, cipher, scope, blob_id)

    async def write(self, place: ResultPlace, content: bytes, media_type: str, purpose: Purpose) -> Stored:
        """A blob of bytes that are there already."""
        writer = await self.begin(place, purpose)
        await writer.add(content)
        return await writer.finish(media_type)

    async def head(self, scope: SessionScope, blob_id: BlobId) -> BlobHead:
        """Raises NotFound for a blob that is not the session's, or is not complete."""
        row = await scoped(self._pool, scope).fetchrow(_SQL["find"], scope.org_id, scope.session_id, blob_id)
        if row is None:
            raise NotFound("There is no such stored result in this session.")
        cipher = await self._keyring.session_cipher(scope)
        detail = orjson.loads(cipher.open(row["detail"], _detail_seal(scope, blob_id)))
        return BlobHead(row["size"], row["chunks"], detail["sha256"], detail["mediaType"], row["kept"], row["purpose"])

    async def parts(self, scope: SessionScope, blob_id: BlobId, chunks: int) -> AsyncIterator[bytes]:
        """The content in order. Raises DecryptionFailed where a chunk is missing, moved or changed."""
        cipher = await self._keyring.session_cipher(scope)
        place = (scope.org_id, scope.session_id, blob_id)
        start = 0
        while start < chunks:
            rows = await scoped(self._pool, scope).fetch(_SQL["chunks"], *place, start, _CHUNKS_A_READ)
            if [row["position"] for row in rows] != list(range(start, start + len(rows))) or not rows:
                raise DecryptionFailed("A chunk of a stored result is missing.")
            sealed = [row["payload"] for row in rows]
            for part in open_chunks(cipher, subkey_of(scope), str(blob_id), sealed, start=start, count=chunks):
                yield part
            start += len(rows)

    async def read(self, scope: SessionScope, stored: Stored) -> bytes:
        """All of it, compared with the reference. Raises NotFound, DecryptionFailed."""
        head = await self.head(scope, stored.blob_id)
        content = b"".join([part async for part in self.parts(scope, stored.blob_id, head.chunks)])
        if hashlib.sha256(content).hexdigest() != stored.sha256:
            raise DecryptionFailed("A stored result is not the one that the record references.")
        return content

    async def discard(self, scope: SessionScope, blob_id: BlobId) -> None:
        """Forget a blob that nothing references. One that an append has kept stays."""
        await scoped(self._pool, scope).execute(_SQL["discard"], scope.org_id, blob_id)

    async def sweep(self, orphans_after: timedelta, fragments_after: timedelta) -> int:
        """Delete what nobody references, and what ended runs derived; some at a time, of every tenant."""
        orphans = await self._pool.fetch(_SQL["sweep"], orphans_after, _SWEPT_AT_ONCE)
        derived = await self._pool.fetch(_SQL["sweep_fragments"], fragments_after, _SWEPT_AT_ONCE)
        return len(orphans) + len(derived)


class BlobWriter:
    """Holds one chunk at most; what is full is sealed and written while the source waits."""

    def __init__(self, pool: Pool, cipher: OrgCipher, scope: SessionScope, blob_id: BlobId) -> None:
        self.blob_id = blob_id
        self.size = 0
        self._pool = pool
        self._cipher = cipher
        self._scope = scope
        self._waiting = bytearray()
        self._position = 0
        self._digest = hashlib.sha256()

    @property
    def reference(self) -> Stored:
        """What is written so far, to be discarded."""
        return Stored(blob_id=self.blob_id, size=self.size, sha256="", media_type="")

    async def add(self, part: bytes | bytearray) -> None:
        self.size += len(part)
        self._digest.update(part)
        self._waiting += part
        while len(self._waiting) > CHUNK_BYTES:  # a full one waits: it may be the last
            await self._flush(CHUNK_BYTES, last=False)

    async def finish(self, media_type: str) -> Stored:
        await self._flush(len(self._waiting), last=True)
        sha256 = self._digest.hexdigest()
        detail = orjson.dumps({"sha256": sha256, "mediaType": media_type})
        sealed = self._cipher.seal(detail, _detail_seal(self._scope, self.blob_id))
        await self._execute("finish", self.size, self._position, sealed)
        return Stored(blob_id=self.blob_id, size=self.size, sha256=sha256, media_type=media_type)

    async def _flush(self, length: int, *, last: bool) -> None:
        place = chunk_seal(subkey_of(self._scope), str(self.blob_id), self._position, last=last)
        with memoryview(self._waiting) as view:
            sealed = self._cipher.seal(bytes(view[:length]), place)
        del self._waiting[:length]
        await self._execute("add_chunk", self._position, sealed)
        self._position += 1

    async def _execute(self, name: str, *args: object) -> None:
        await _execute(scoped(self._pool, self._scope), name, self._scope.org_id, self.blob_id, *args)


async def _execute(db: Queryable, name: str, *args: object) -> None:
    """A statement of a writer. Each can be done twice, so a database that is away for a moment costs no result."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception(is_away),
        wait=wait_exponential_jitter(multiplier=0.1, max=2.0),
        stop=stop_after_delay(_PATIENCE_S),
        reraise=True,
    ):
        with attempt:
            await db.execute(_SQL[name], *args)
