"""The first pipeline: compressed documents from Postgres → extraction in isolated processes → tools into Postgres."""

import asyncio
import gc
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pyarrow as pa
import ray
import structlog
from ray.data import Datasink
from ray.data.block import Block, BlockAccessor

from cluster.jobs.bounds import Bounds
from cluster.jobs.portions import Portions
from cluster.jobs.session import settings, with_database
from planvault.clock import TimeOrderedIds
from planvault.errors import SpecRejected, TooLarge
from planvault.ingestion.bulk.store import ReadDocument, store_documents
from planvault.ingestion.isolation import ExtractionProcess
from planvault.storage import bulk_documents
from planvault.storage.bulk_imports import ClaimedJob
from planvault.storage.tenancy import scoped

_log = structlog.get_logger(__name__)

_BODIES = pa.schema([("path", pa.string()), ("body", pa.binary())])
_READ = pa.schema([("path", pa.string()), ("extraction", pa.binary()), ("refusal", pa.string())])
_FAST = 1  # zlib's level for what lives for seconds


def _bodies(claim: ClaimedJob, paths: Sequence[str]) -> dict[str, list[Any]]:
    """Documents as they lie in the database."""
    found = with_database(lambda pool: bulk_documents.bodies(scoped(pool, claim.scope), claim, paths))
    return {"path": [path for path, _ in found], "body": [body for _, body in found]}


class Extractor:
    """Reads documents in a process of its own, which a document may cost (planvault.ingestion.isolation)."""

    def __init__(self) -> None:
        settings()
        self._runner = asyncio.Runner()
        self._process = ExtractionProcess()

    def __call__(self, block: pa.Table) -> pa.Table:
        read = [
            self._runner.run(self._read(path.as_py(), body.as_buffer()))
            for path, body in zip(block["path"], block["body"], strict=True)
        ]
        return pa.table(
            {
                "path": [one.path for one in read],
                "extraction": [one.extraction for one in read],
                "refusal": [one.refusal for one in read],
            },
            schema=_READ,
        )

    async def _read(self, path: str, body: pa.Buffer) -> ReadDocument:
        try:
            answer = await self._process.extract(zlib.decompress(body))
        except (SpecRejected, TooLarge) as refusal:
            return ReadDocument(path, refusal=refusal.detail)
        return ReadDocument(path, extraction=zlib.compress(answer, _FAST))


class ToolsSink(Datasink[int]):
    """Stores what was read. A task that is retried finds its documents stored, and does nothing."""

    def __init__(self, claim: ClaimedJob) -> None:
        self._claim = claim

    def write(self, blocks: Iterable[Block], ctx: object) -> int:
        documents = [
            _document(row) for block in blocks for row in BlockAccessor.for_block(block).to_arrow().to_pylist()
        ]
        if documents:
            settings()
            with _uncollected():
                with_database(lambda pool: store_documents(pool, self._claim, documents, TimeOrderedIds()))
        return len(documents)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Tools are trees, which go when the task ends: nobody need look for cycles among them meanwhile."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _document(row: dict[str, Any]) -> ReadDocument:
    extraction = row["extraction"]
    return ReadDocument(row["path"], None if extraction is None else zlib.decompress(extraction), row["refusal"])


def import_documents(claim: ClaimedJob, portions: Sequence[Sequence[str]], bounds: Bounds) -> None:
    """Raises OwnershipLost where another worker took the job over or it was cancelled."""
    if not portions:
        return
    source = Portions("Documents", portions, partial(_bodies, claim), _BODIES)
    ray.data.read_datasource(
        source, num_cpus=bounds.cpus, concurrency=bounds.workers, override_num_blocks=len(portions)
    ).map_batches(
        Extractor,
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=min(bounds.workers, len(portions)), max_tasks_in_flight_per_actor=2),
        num_cpus=bounds.cpus,
    ).write_datasink(ToolsSink(claim), ray_remote_args={"num_cpus": bounds.cpus}, concurrency=bounds.workers)
