"""The groups of an integration's tools, as rows. What they are is decided in retrieval.groups; this stores it."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pgvector import Vector

from models.ids import IntegrationId, OrgId, ToolId
from models.tenants import OrgScope
from planvault.storage.pool import Connection, Queryable
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/tool_groups.sql")
_START = OrgScope(org_id=OrgId(UUID(int=0)))


@dataclass(frozen=True, slots=True)
class GroupContent:
    """What a group that tools name is made of: members with a vector, and a digest of which they are."""

    size: int
    members_sha256: bytes


@dataclass(frozen=True, slots=True)
class EmbeddedTool:
    tool_id: ToolId
    name: str
    group: str
    vector: NDArray[np.float32]  # shape (384,)


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A row of tool_group_centroids; its columns are explained in migration 0011."""

    id: UUID
    base: str
    part: int
    parts: int
    name: str
    size: int
    base_size: int
    coherence: float
    base_coherence: float
    reach: float
    routing: str
    members_sha256: bytes
    centroid: NDArray[np.float32]  # shape (384,)


async def revision_of(db: Queryable, scope: OrgScope, integration_id: IntegrationId) -> int | None:
    """The revision of the integration's tools; None where it has and had none."""
    revision: int | None = await db.fetchval(_SQL["integration_revision"], scope.org_id, integration_id)
    return revision


async def contents(
    db: Queryable, scope: OrgScope, integration_id: IntegrationId, model: str
) -> dict[str, GroupContent]:
    """Group name → what it is made of now, from the tools that are active and have a vector of `model`."""
    rows = await db.fetch(_SQL["group_contents"], scope.org_id, integration_id, model)
    return {row["group_name"]: GroupContent(row["size"], row["members_sha256"]) for row in rows}


async def members(
    db: Queryable, scope: OrgScope, integration_id: IntegrationId, model: str, groups: Sequence[str]
) -> list[EmbeddedTool]:
    """The tools of these groups, by id."""
    rows = await db.fetch(_SQL["group_members"], scope.org_id, integration_id, model, list(groups))
    return [
        EmbeddedTool(row["tool_id"], row["name"], row["group_name"], row["embedding"].to_numpy().astype(np.float32))
        for row in rows
    ]


async def stored_bases(db: Queryable, scope: OrgScope, integration_id: IntegrationId) -> dict[str, bytes]:
    """Base → digest of what its rows were made of."""
    rows = await db.fetch(_SQL["stored_bases"], scope.org_id, integration_id)
    return {row["base"]: row["members_sha256"] for row in rows}


async def ids_of(
    db: Queryable, scope: OrgScope, integration_id: IntegrationId, wanted: Sequence[str]
) -> dict[tuple[str, int], UUID]:
    """(base, part) → id of the rows that these bases have."""
    rows = await db.fetch(_SQL["group_ids"], scope.org_id, integration_id, list(wanted))
    return {(row["base"], row["part"]): row["id"] for row in rows}


async def upsert(
    db: Connection, scope: OrgScope, integration_id: IntegrationId, model: str, rows: Sequence[GroupRow]
) -> None:
    """Write these groups. The caller holds the index's lock (`tool_index.next_revision`)."""
    if not rows:
        return
    await db.execute(
        _SQL["upsert_groups"],
        scope.org_id,
        integration_id,
        model,
        [row.id for row in rows],
        [row.base for row in rows],
        [row.part for row in rows],
        [row.parts for row in rows],
        [row.name for row in rows],
        [row.size for row in rows],
        [row.base_size for row in rows],
        [row.coherence for row in rows],
        [row.base_coherence for row in rows],
        [row.reach for row in rows],
        [row.routing for row in rows],
        [row.members_sha256 for row in rows],
        [Vector(row.centroid) for row in rows],
    )


async def delete(db: Connection, scope: OrgScope, integration_id: IntegrationId, ids: Sequence[UUID]) -> None:
    if ids:
        await db.execute(_SQL["delete_groups"], scope.org_id, integration_id, list(ids))


async def strays(
    db: Queryable, scope: OrgScope, integration_id: IntegrationId, model: str
) -> dict[ToolId, UUID | None]:
    """Tools that stand in a group and should not, each with None: what `tool_index.set_groups` takes."""
    rows = await db.fetch(_SQL["strays"], scope.org_id, integration_id, model)
    return {ToolId(row["tool_id"]): None for row in rows}


async def record_progress(
    db: Queryable, scope: OrgScope, integration_id: IntegrationId, *, revision: int, rules: int, model: str
) -> None:
    """The integration's groups are right up to this revision; an older one never replaces a newer."""
    await db.execute(_SQL["record_progress"], scope.org_id, integration_id, revision, rules, model)


async def stale(
    db: Queryable, rules: int, model: str, limit: int, *, after: tuple[OrgScope, IntegrationId] | None = None
) -> list[tuple[OrgScope, IntegrationId]]:
    """Integrations, of any organisation, whose groups may not be right any more; `after` is the cursor."""
    scope, integration_id = after or (_START, IntegrationId(UUID(int=0)))
    rows = await db.fetch(_SQL["stale_integrations"], rules, model, limit, scope.org_id, integration_id)
    return [(OrgScope(org_id=OrgId(row["org_id"])), IntegrationId(row["integration_id"])) for row in rows]
