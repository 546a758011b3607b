"""The second pipeline: texts of tools without a vector → batches through an actor pool → vectors into Postgres."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import ray
from numpy.typing import NDArray
from ray.data import Datasink
from ray.data.block import Block, BlockAccessor

from cluster.jobs.bounds import Bounds
from cluster.jobs.portions import Portions
from cluster.jobs.session import settings, with_database
from models.ids import IntegrationId, ToolId
from planvault.ingestion.bulk.embed import store_vectors
from planvault.storage import tool_vectors
from planvault.storage.bulk_imports import ClaimedJob
from planvault.storage.tenancy import scoped
from planvault.storage.tool_vectors import ToolVector
from retrieval.embedding import DIMENSIONS, EMBEDDING_MODEL, MiniLm

_ID = pa.binary(16)
_TEXTS = pa.schema([("tool_id", _ID), ("integration_id", _ID), ("sha256", pa.binary()), ("text", pa.string())])
_VECTOR = pa.list_(pa.float32(), DIMENSIONS)


def _texts(claim: ClaimedJob, tools: Sequence[ToolId]) -> dict[str, list[Any]]:
    found = with_database(
        lambda pool: tool_vectors.texts(scoped(pool, claim.scope), claim.scope, tools, EMBEDDING_MODEL)
    )
    return {
        "tool_id": [text.tool_id.bytes for text in found],
        "integration_id": [text.integration_id.bytes for text in found],
        "sha256": [text.document_sha256 for text in found],
        "text": [text.document for text in found],
    }


class Embedding:
    """One model, loaded once an actor, on one thread: as many actors as there are cores keep all of them busy."""

    def __init__(self) -> None:
        settings()
        self._model = MiniLm.load(threads=1)

    def __call__(self, block: pa.Table) -> pa.Table:
        vectors = self._model.embed(block["text"].to_pylist())
        flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
        return block.drop_columns(["text"]).append_column(
            "vector", pa.FixedSizeListArray.from_arrays(flat, type=_VECTOR)
        )


class VectorsSink(Datasink[int]):
    """Stores vectors. A task that is retried finds them stored, and changes nothing."""

    def __init__(self, claim: ClaimedJob) -> None:
        self._claim = claim

    def write(self, blocks: Iterable[Block], ctx: object) -> int:
        vectors = [vector for block in blocks for vector in _vectors(BlockAccessor.for_block(block).to_arrow())]
        settings()
        with_database(lambda pool: store_vectors(pool, self._claim, vectors, EMBEDDING_MODEL))
        return len(vectors)


def _vectors(block: pa.Table) -> Iterable[ToolVector]:
    values = block["vector"].combine_chunks()
    matrix: NDArray[np.float32] = np.asarray(values.values, dtype=np.float32).reshape(-1, DIMENSIONS)
    for row, tool_id, integration_id, digest in zip(
        matrix, block["tool_id"], block["integration_id"], block["sha256"], strict=True
    ):
        yield ToolVector(
            ToolId(UUID(bytes=tool_id.as_py())),
            IntegrationId(UUID(bytes=integration_id.as_py())),
            digest.as_py(),
            row,
        )


def embed_tools(claim: ClaimedJob, batches: Sequence[Sequence[ToolId]], bounds: Bounds) -> None:
    """Raises OwnershipLost where another worker took the job over or it was cancelled."""
    if not batches:
        return
    source = Portions("Texts", batches, partial(_texts, claim), _TEXTS)
    ray.data.read_datasource(source, num_cpus=bounds.cpus, concurrency=1, override_num_blocks=len(batches)).map_batches(
        Embedding,
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=min(bounds.workers, len(batches)), max_tasks_in_flight_per_actor=2),
        num_cpus=bounds.cpus,
    ).write_datasink(VectorsSink(claim), ray_remote_args={"num_cpus": bounds.cpus}, concurrency=1)
