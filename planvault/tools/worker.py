"""What a ToolWorker does with large results, in a process where it may hold everything up.

A body is parsed whole: orjson takes 20 MB in a fraction of a second and knows every JSON text, and one job runs at a
time, so that a worker's memory is bounded by the largest results of one job (docs/large-results.md has the figures).
"""

from __future__ import annotations

import asyncio
import re
from typing import cast

import orjson
from pydantic import TypeAdapter

from models.base import JsonValue
from models.ids import BlobId
from models.results import (
    Extract,
    FragmentAnswer,
    FragmentRefused,
    Inspect,
    Inspected,
    Job,
    ResultPlace,
    Stored,
    WorkerAnswer,
)
from models.values import Value
from planvault.errors import DecryptionFailed, NotFound
from planvault.ports import Keyring
from planvault.redact import SHORTEST_INSIDE, Redactor
from planvault.storage.blobs import Blobs
from planvault.tools.fragments import Found, evaluated, refused_for_size
from planvault.tools.large import secrets_seal
from planvault.tools.response import depth_exceeds, parse, too_deep
from planvault.tools.shape import shape_of

_TOGETHER_BYTES = 64 * 1024 * 1024  # of stored results that one job may read
_KEPT_S = 10.0  # how long the values of the last job stay in memory: a loop reads the same result again and again
_HIDING = re.compile(r"\\[u/]")  # escapes behind which JSON can spell a secret in other characters

JOB: TypeAdapter[Inspect | Extract] = TypeAdapter(Job)
ANSWER: TypeAdapter[Inspected | FragmentAnswer] = TypeAdapter(WorkerAnswer)


class ResultReader:
    """Implements the ToolWorkers port in its own process, one job at a time."""

    def __init__(self, blobs: Blobs, keyring: Keyring) -> None:
        self._blobs = blobs
        self._keyring = keyring
        self._turn = asyncio.Lock()
        self._values: dict[BlobId, JsonValue] = {}
        self._forgetting: asyncio.TimerHandle | None = None

    async def run(self, job: bytes) -> bytes:
        """A job and its answer as they cross processes: JSON."""
        given = JOB.validate_json(job)
        answer = await (self.inspect(given) if isinstance(given, Inspect) else self.extract(given))
        return answer.model_dump_json().encode()

    async def inspect(self, job: Inspect) -> Inspected | FragmentRefused:
        async with self._turn:
            try:
                return await self._inspect(job)
            finally:
                self._forget_later()

    async def extract(self, job: Extract) -> FragmentAnswer:
        async with self._turn:
            try:
                return await self._extract(job)
            except (NotFound, DecryptionFailed) as fault:
                return FragmentRefused(code="RESULT_GONE", message=f"A stored result cannot be read: {fault.detail}")
            finally:
                self._forget_later()

    async def _inspect(self, job: Inspect) -> Inspected | FragmentRefused:
        stored, scope = job.spooled, job.place.scope
        self._values = {}  # of the last job: both together would be twice the memory
        content = await self._blobs.read(scope, stored)
        value = await asyncio.to_thread(parse, content, stored.media_type)
        if await asyncio.to_thread(depth_exceeds, value, job.max_depth):
            return FragmentRefused(code="RESPONSE_TOO_DEEP", message=too_deep(job.max_depth))
        secrets = await self._secrets(job)
        if secrets and not await asyncio.to_thread(_surely_free, content, secrets):
            del content
            cleaned = await asyncio.to_thread(Redactor(secrets).clean_json, value)
            value = cast("JsonValue", cleaned)
            stored = await self._instead(job, value)
        self._values = {stored.blob_id: value}
        return Inspected(stored=stored.model_copy(update={"shape": shape_of(value)}))

    async def _instead(self, job: Inspect, value: JsonValue) -> Stored:
        """The same result without the secrets that it echoed, in a blob of its own. Whoever asked discards the other.

        Discarded here it would be gone for the next worker, where this one dies before it is heard.
        """
        content = await asyncio.to_thread(orjson.dumps, value)
        return await self._blobs.write(job.place, content, "application/json", "result")

    async def _secrets(self, job: Inspect) -> list[str]:
        if not job.secrets:
            return []
        cipher = await self._keyring.session_cipher(job.place.scope)
        return [str(secret) for secret in orjson.loads(cipher.open(job.secrets, secrets_seal(job.place)))]

    async def _extract(self, job: Extract) -> FragmentAnswer:
        query, place = job.query, job.place
        size = sum(stored.size for stored in query.stored.values())
        if size > _TOGETHER_BYTES:
            return refused_for_size(f"The expression reads {size:,} bytes of stored results at once", _TOGETHER_BYTES)
        values = await self._read(place, query.stored)
        scope: dict[str, Value] = {**cast("dict[str, Value]", query.inline), **cast("dict[str, Value]", values)}
        found = await asyncio.to_thread(evaluated, query, scope)
        if isinstance(found, FragmentRefused):
            return found
        return await self._handed_over(place, found)

    async def _read(self, place: ResultPlace, wanted: dict[str, Stored]) -> dict[str, JsonValue]:
        ids = {stored.blob_id for stored in wanted.values()}
        self._values = {blob_id: value for blob_id, value in self._values.items() if blob_id in ids}
        for stored in wanted.values():
            if stored.blob_id not in self._values:
                content = await self._blobs.read(place.scope, stored)
                self._values[stored.blob_id] = await asyncio.to_thread(parse, content, stored.media_type)
                del content
        return {name: self._values[stored.blob_id] for name, stored in wanted.items()}

    async def _handed_over(self, place: ResultPlace, found: Found) -> FragmentAnswer:
        """What is too large to be handed over becomes a blob that can be asked in turn."""
        stored: dict[int, Stored] = {}
        for position, content in found.large.items():
            written = await self._blobs.write(place, content, "application/json", "fragment")
            stored[position] = written.model_copy(update={"shape": found.shapes[position]})
        return found.answer(stored)

    def _forget_later(self) -> None:
        if self._forgetting is not None:
            self._forgetting.cancel()
        self._forgetting = asyncio.get_running_loop().call_later(_KEPT_S, self._values.clear)


def _surely_free(content: bytes, secrets: list[str]) -> bool:
    """Whether no secret can stand in the body, as its text or in what JSON makes of it. False where that is unclear."""
    if any(len(secret) < SHORTEST_INSIDE for secret in secrets):
        return False  # found by the words around it, which escapes change
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return False
    return _HIDING.search(text) is None and Redactor(secrets).clean(text) == text
