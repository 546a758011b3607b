"""Vectors of many integrations' tools at once, for bulk imports; `tool_index` does the same for one integration."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.ids import IntegrationId, ToolId
from models.tenants import OrgScope
from planvault.storage import tool_index
from planvault.storage.bulk_imports import ClaimedJob
from planvault.storage.pool import Connection, Queryable
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/tool_vectors.sql")
_INCOMING = ("tool_id", "document_sha256", "embedding")


@dataclass(frozen=True, slots=True)
class Pending:
    """A tool that waits for its vector. `length`: characters of its text."""

    tool_id: ToolId
    length: int


@dataclass(frozen=True, slots=True)
class Text:
    tool_id: ToolId
    integration_id: IntegrationId
    document_sha256: bytes
    document: str


@dataclass(frozen=True, slots=True)
class ToolVector:
    """`vector`: L2-normalised float32 of shape (384,), of the text that has this hash."""

    tool_id: ToolId
    integration_id: IntegrationId
    document_sha256: bytes
    vector: NDArray[np.float32]


async def pending(db: Queryable, claim: ClaimedJob, model: str) -> list[Pending]:
    """The job's tools without a vector of `model`, shortest text first."""
    rows = await db.fetch(_SQL["pending"], claim.scope.org_id, claim.id, model)
    return [Pending(ToolId(row["tool_id"]), row["length"]) for row in rows]


async def texts(db: Queryable, scope: OrgScope, tools: Sequence[ToolId], model: str) -> list[Text]:
    """What these tools are to be embedded from, shortest first, without those that need no vector any more."""
    rows = await db.fetch(_SQL["texts"], scope.org_id, list(tools), model)
    return [
        Text(ToolId(row["tool_id"]), IntegrationId(row["integration_id"]), row["document_sha256"], row["document"])
        for row in rows
    ]


async def store(db: Connection, scope: OrgScope, vectors: Sequence[ToolVector], model: str) -> int:
    """How many tools got a vector that they did not have. Needs a transaction; holds the organisation's index to its
    end, so it comes last."""
    revision = await tool_index.next_revision(db, scope, {one.integration_id for one in vectors})
    await db.execute(_SQL["incoming"])
    records = [(one.tool_id, one.document_sha256, one.vector) for one in vectors]
    await db.copy_records_to_table("tool_vectors_incoming", records=records, columns=_INCOMING)
    stored: int = await db.fetchval(_SQL["store_incoming"], scope.org_id, model, revision)
    return stored
