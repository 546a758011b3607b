"""ToolWorkers without Ray: processes of our own, started when the first large result comes. Tests and benchmarks."""

from __future__ import annotations

import asyncio
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType

from models.results import Extract, FragmentAnswer, FragmentRefused, Inspect, Inspected
from planvault.clock import TimeOrderedIds
from planvault.crypto.assembly import key_providers
from planvault.errors import Unavailable
from planvault.settings import Settings
from planvault.storage.blobs import Blobs
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import Role, open_pool
from planvault.tools.worker import ANSWER, ResultReader


class WorkerProcesses:
    """Implements ToolWorkers. `async with` ends the processes; what they were doing can be done again."""

    def __init__(self, database_url: str, keyset: Path, processes: int = 1) -> None:
        self._start = (database_url, keyset)
        self._processes = processes
        self._pool: ProcessPoolExecutor | None = None

    async def inspect(self, job: Inspect) -> Inspected | FragmentRefused:
        answer = ANSWER.validate_json(await self._run(job))
        if not isinstance(answer, Inspected | FragmentRefused):
            raise TypeError("an inspection answers what was inspected")
        return answer

    async def extract(self, job: Extract) -> FragmentAnswer:
        answer = ANSWER.validate_json(await self._run(job))
        if isinstance(answer, Inspected):
            raise TypeError("an extraction answers what was found")
        return answer

    @property
    def children(self) -> list[int]:
        """Ids of the processes that run now."""
        return [] if self._pool is None else list(self._pool._processes)

    async def __aenter__(self) -> WorkerProcesses:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            pool, self._pool = self._pool, None
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)

    async def _run(self, job: Inspect | Extract) -> bytes:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self._processes,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_open,
                initargs=self._start,
            )
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, _work, job.model_dump_json().encode())
        except BrokenProcessPool as fault:
            self._pool = None  # the next job starts new ones
            raise Unavailable("A worker process ended while it had work.") from fault


# ── in the child ─────────────────────────────────────────────────────────────────────────────────────────────────────

_loop: asyncio.AbstractEventLoop
_reader: ResultReader


def _open(database_url: str, keyset: Path) -> None:
    global _loop, _reader
    _loop = asyncio.new_event_loop()
    _reader = _loop.run_until_complete(_open_reader(database_url, keyset))


async def _open_reader(database_url: str, keyset: Path) -> ResultReader:
    ids = TimeOrderedIds()
    pool = await open_pool(database_url, name="tool-worker", maximum=2, role=Role.TENANT)
    keyring = PostgresKeyring(pool, key_providers(Settings(keyset_path=keyset)), ids)
    return ResultReader(Blobs(pool, keyring, ids), keyring)


def _work(job: bytes) -> bytes:
    return _loop.run_until_complete(_reader.run(job))
