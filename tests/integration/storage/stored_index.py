"""The index as it is stored, read plainly: what tests hold the product's own answers against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

import asyncpg
import numpy as np
from numpy.typing import NDArray

from models.ids import IntegrationId, ToolId
from models.tenants import OrgScope, ProjectScope
from planvault.storage.pool import Queryable

_SQL = {
    "catalog_state": "SELECT revision, tools FROM catalog_revision WHERE org_id = $1",
    "integration_states": """
        SELECT r.integration_id, r.revision, r.tools, coalesce(p.enabled, true) AS enabled
        FROM integration_revision r
        LEFT JOIN project_integrations p
          ON p.integration_id = r.integration_id AND p.org_id = r.org_id AND p.project_id = $2
        WHERE r.org_id = $1""",
    "changed_tools": """
        SELECT tool_id, integration_id, version, active, revision, name, group_name, group_id,
               vector_send(embedding) AS embedding, embedding_model, sparsevec_send(impacts) AS impacts,
               requires, produces
        FROM tool_index
        WHERE org_id = $1 AND integration_id = $2 AND revision > $3 AND tool_id > $4
        ORDER BY tool_id LIMIT $5""",
    "lexeme_counts": "SELECT lexeme, tools FROM lexeme_stats WHERE org_id = $1 AND lexeme = ANY($2::text[])",
}

Floats: TypeAlias = NDArray[np.float32]
Numbers: TypeAlias = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class CatalogState:
    """`revision` grows with every commit that changes an organisation's index or what its projects have enabled.

    `tools`: active ones of the whole organisation.
    """

    revision: int
    tools: int


@dataclass(frozen=True, slots=True)
class IntegrationState:
    """`revision`: of the organisation's catalog when the integration's part of the index last changed."""

    revision: int
    tools: int
    enabled: bool  # in the project that was asked for


@dataclass(frozen=True, slots=True)
class StoredTool:
    """A row of the index. `embedding`: shape (384,), None without one. `impacts`: lexeme numbers, ascending, and their
    weights, both of shape (lexemes,)."""

    tool_id: ToolId
    integration_id: IntegrationId
    version: int
    active: bool
    revision: int
    name: str
    group: str
    group_id: UUID | None
    embedding: Floats | None
    embedding_model: str | None
    impacts: tuple[Numbers, Floats]
    requires: tuple[str, ...]
    produces: tuple[str, ...]


async def catalog_state(db: Queryable, scope: OrgScope) -> CatalogState:
    """Of an organisation that never had a tool: revision 0."""
    row = await db.fetchrow(_SQL["catalog_state"], scope.org_id)
    return CatalogState(0, 0) if row is None else CatalogState(row["revision"], row["tools"])


async def integration_states(db: Queryable, scope: ProjectScope) -> dict[IntegrationId, IntegrationState]:
    """Every integration of the organisation that has or had tools; one that is missing here was deleted."""
    rows = await db.fetch(_SQL["integration_states"], scope.org_id, scope.project_id)
    return {row["integration_id"]: IntegrationState(row["revision"], row["tools"], row["enabled"]) for row in rows}


async def changed_tools(
    db: Queryable,
    scope: OrgScope,
    integration_id: IntegrationId,
    *,
    since: int = -1,
    after: ToolId | None = None,
    limit: int = 1_000,
) -> list[StoredTool]:
    """A page, by id, of the integration's tools whose rows changed after revision `since`, retired ones included."""
    rows = await db.fetch(_SQL["changed_tools"], scope.org_id, integration_id, since, after or UUID(int=0), limit)
    return [_stored(row) for row in rows]


async def lexeme_counts(db: Queryable, scope: OrgScope, lexemes: Sequence[str]) -> Mapping[str, int]:
    """How many active tools of the organisation hold each lexeme; what none holds is missing."""
    rows = await db.fetch(_SQL["lexeme_counts"], scope.org_id, list(lexemes))
    return {row["lexeme"]: row["tools"] for row in rows}


def _stored(row: asyncpg.Record) -> StoredTool:
    embedding = row["embedding"]
    return StoredTool(
        tool_id=row["tool_id"],
        integration_id=row["integration_id"],
        version=row["version"],
        active=row["active"],
        revision=row["revision"],
        name=row["name"],
        group=row["group_name"],
        group_id=row["group_id"],
        embedding=None if embedding is None else _vector(embedding),
        embedding_model=row["embedding_model"],
        impacts=_sparse(row["impacts"]),
        requires=tuple(row["requires"]),
        produces=tuple(row["produces"]),
    )


def _vector(sent: bytes) -> Floats:
    """What vector_send writes: two 16-bit integers, then big-endian floats."""
    return np.frombuffer(sent, dtype=">f4", offset=4).astype(np.float32)


def _sparse(sent: bytes | None) -> tuple[Numbers, Floats]:
    """What sparsevec_send writes: dimension, count, unused, then the indices (from 0) and the values."""
    if sent is None:
        return np.empty(0, dtype=np.int32), np.empty(0, dtype=np.float32)
    count = int.from_bytes(sent[4:8], "big")
    numbers = np.frombuffer(sent, dtype=">i4", offset=12, count=count).astype(np.int32)
    return numbers, np.frombuffer(sent, dtype=">f4", offset=12 + 4 * count, count=count).astype(np.float32)
