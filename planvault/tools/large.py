"""Bodies too large for the record: spooled into a blob while they arrive, looked at by a worker, never held whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import orjson
import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from models.results import INLINE_BYTES, FragmentRefused, Inspect, Inspected, ResultPlace, Stored
from planvault.errors import PlanVaultError, Unavailable
from planvault.ports import Keyring, Seal, ToolWorkers
from planvault.storage.blobs import Blobs, subkey_of
from planvault.storage.pool import is_away
from planvault.tools.response import MAX_DEPTH

_log = structlog.get_logger(__name__)

_SPOOLS_AT_ONCE = 32  # each holds about three chunks; who waits leaves its bytes with the kernel
_MEDIA_TYPE = 200  # characters of a Content-Type that are kept
_PATIENCE_S = 60.0  # how long a missing worker is waited for: the service has answered, its answer must not be lost


class NotStored(PlanVaultError):
    """The service answered, and its answer cannot be kept. `refusal` is the call's code."""

    code, status, title = "RESULT_NOT_STORED", 503, "The result could not be stored"

    def __init__(self, message: str, refusal: str = code) -> None:
        super().__init__(message)
        self.refusal = refusal


class LargeResults:
    """The host's side of large results. Secrets of a call travel to a worker sealed, as everything durable is."""

    def __init__(self, blobs: Blobs, keyring: Keyring, workers: ToolWorkers) -> None:
        self._blobs = blobs
        self._keyring = keyring
        self._workers = workers
        self._spools = asyncio.Semaphore(_SPOOLS_AT_ONCE)

    async def receive(self, place: ResultPlace, parts: AsyncIterator[bytes], media_type: str) -> bytes | Stored:
        """The body: itself up to INLINE_BYTES, else a spooled blob that nobody has looked into.

        Raises what `parts` raises, then nothing is kept; NotStored where the database cannot take it.
        """
        head = bytearray()
        async for part in parts:
            head += part
            if len(head) > INLINE_BYTES:
                async with self._spools:
                    return await self._spool(place, head, parts, media_type[:_MEDIA_TYPE])
        return bytes(head)

    async def settle(self, place: ResultPlace, spooled: Stored, secrets: Sequence[str]) -> Stored:
        """The result as it may be referenced. Raises NotStored, and then the spooled blob is gone."""
        try:
            answer = await self._inspected(place, spooled, secrets)
        except Exception as fault:
            await self._forget(place, spooled)
            if not isinstance(fault, Unavailable) and not is_away(fault):
                raise
            raise NotStored(f"The result could not be looked at: {fault}") from fault
        if isinstance(answer, FragmentRefused):
            await self._forget(place, spooled)
            raise NotStored(answer.message, answer.code)
        if answer.stored.blob_id != spooled.blob_id:  # a copy without the secrets that the body echoed
            await self._forget(place, spooled)
        return answer.stored

    async def _inspected(
        self, place: ResultPlace, spooled: Stored, secrets: Sequence[str]
    ) -> Inspected | FragmentRefused:
        sealed = b""
        if secrets:
            cipher = await self._keyring.session_cipher(place.scope)
            sealed = cipher.seal(orjson.dumps(list(secrets)), secrets_seal(place))
        job = Inspect(place=place, spooled=spooled, max_depth=MAX_DEPTH, secrets=sealed)
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(Unavailable),
            wait=wait_exponential_jitter(multiplier=0.2, max=5.0),
            stop=stop_after_delay(_PATIENCE_S),
            reraise=True,
        ):
            with attempt:
                return await self._workers.inspect(job)
        raise AssertionError("tenacity returns or raises")

    async def _spool(self, place: ResultPlace, head: bytearray, parts: AsyncIterator[bytes], media_type: str) -> Stored:
        try:
            writer = await self._blobs.begin(place)
            try:
                await writer.add(head)
                head.clear()
                async for part in parts:
                    await writer.add(part)
                return await writer.finish(media_type)
            except BaseException:  # a cancelled call leaves nothing behind either
                await asyncio.shield(self._forget(place, writer.reference))
                raise
        except Exception as fault:
            if not is_away(fault):
                raise
            raise NotStored(f"The database does not answer ({type(fault).__name__}).") from fault

    async def _forget(self, place: ResultPlace, stored: Stored) -> None:
        try:
            await self._blobs.discard(place.scope, stored.blob_id)
        except Exception as fault:
            if not is_away(fault):
                raise
            _log.warning("blob.left_to_the_sweep", blob=str(stored.blob_id), cause=type(fault).__name__)


def secrets_seal(place: ResultPlace) -> Seal:
    """Where a call's secrets are sealed on their way to a worker. They are never written."""
    return Seal(subkey_of(place.scope), "tool_jobs", str(place.run_id), "secrets")
