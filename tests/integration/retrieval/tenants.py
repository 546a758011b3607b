"""Many organisations in one index: the same names and words everywhere, vectors in the same few places."""

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from uuid import UUID

import numpy as np
from pgvector import SparseVector, Vector

from models.ids import OrgId, ProjectId, ToolId
from models.tenants import ProjectScope
from planvault.clock import TimeOrderedIds
from planvault.storage.pool import Connection, Pool, transaction
from planvault.storage.tool_index import LEXEME_SPACE
from retrieval.embedding import EMBEDDING_MODEL
from retrieval.lexical import inverse_document_frequency
from retrieval.query import Matrix, Query
from retrieval.text import lexeme_id, lexemes

IDS = TimeOrderedIds()
_WORDS = ("list", "cancel", "order", "user", "invoice", "ticket", "flight", "hotel", "city", "weather")
_LEXEMES = [lexemes(word)[0] for word in _WORDS]
_STAGE = """
CREATE TEMP TABLE stage (tool_id uuid, org_id uuid, integration_id uuid, name text, vector vector, impacts sparsevec,
                         keys text[]) ON COMMIT DROP"""
_FILL = (
    """INSERT INTO tool_index (tool_id, org_id, integration_id, active, version, entry_revision, document_sha256,
                              embedded_sha256, embedding_model, embedding, name, group_name, impacts, lexemes)
       SELECT tool_id, org_id, integration_id, true, 1, 1, '', '', $1, vector, name, 'group', impacts,
              array_to_tsvector(keys) FROM stage""",
    """INSERT INTO lexeme_stats SELECT org_id, substr(key, 13), count(*) FILTER (WHERE substr(key, 12, 1) = ':'),
              count(*) FILTER (WHERE substr(key, 12, 1) = '!') FROM stage, unnest(keys) AS key
       GROUP BY org_id, substr(key, 13)""",
    """INSERT INTO integration_revision SELECT integration_id, org_id, 1, count(*) FROM stage
       GROUP BY integration_id, org_id""",
    "INSERT INTO catalog_revision SELECT org_id, 1, count(*) FROM stage GROUP BY org_id",
)


@dataclass
class Tenant:
    """An organisation with one project, which has switched off the integration of every third tool.

    `impacts`: shape (tools, words).
    """

    scope: ProjectScope
    on: UUID
    off: UUID
    tools: list[ToolId]
    vectors: Matrix
    impacts: Matrix

    @classmethod
    def of(cls, size: int, places: Matrix, chance: np.random.Generator) -> "Tenant":
        near = places[chance.integers(len(places), size=size)] + 0.02 * chance.normal(size=(size, 384))
        vectors = (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)
        impacts = chance.uniform(0.1, 0.9, size=(size, len(_WORDS))) * (chance.random((size, len(_WORDS))) < 0.3)
        scope = ProjectScope(org_id=OrgId(IDS.new()), project_id=ProjectId(IDS.new()))
        return cls(scope, IDS.new(), IDS.new(), [ToolId(IDS.new()) for _ in range(size)], vectors, impacts)

    def enabled(self) -> np.ndarray:
        return np.flatnonzero(np.arange(len(self.tools)) % 3 != 2)

    def best(self, query: Query, limit: int) -> set[ToolId]:
        """The exact answer: of every part the best `limit` by vector and by text."""
        at = self.enabled()
        held = (self.impacts > 0).sum(axis=0)
        found = set()
        for vector, terms in zip(query.vectors, query.terms, strict=True):
            idf = [
                terms.get(lexeme, 0.0) * inverse_document_frequency(len(self.tools), int(held[n]))
                for n, lexeme in enumerate(_LEXEMES)
            ]
            text = self.impacts[at] @ np.array(idf)
            found |= set(at[np.argsort(-(self.vectors[at] @ vector))[:limit]].tolist())
            found |= {at[i] for i in np.argsort(-text)[:limit] if text[i] > 0}
        return {self.tools[i] for i in found}

    def rows(self) -> list[tuple[object, ...]]:
        key = urlsafe_b64encode(self.scope.org_id.bytes[8:]).decode().rstrip("=")
        return [
            (
                tool,
                self.scope.org_id,
                self.off if i % 3 == 2 else self.on,
                f"tool_{i}",
                Vector(self.vectors[i]),
                SparseVector({lexeme_id(_LEXEMES[n]): float(self.impacts[i, n]) for n in held}, LEXEME_SPACE),
                [f"{key}{mark}{_LEXEMES[n]}" for mark, some in ((":", held), ("!", held[:6])) for n in some],
            )
            for i, tool in enumerate(self.tools)
            for held in [sorted(np.flatnonzero(self.impacts[i]), key=lambda n, i=i: -self.impacts[i, n])]
        ]


async def settle(pool: Pool, sizes: list[int]) -> list[Tenant]:
    """Organisations of so many tools each, written by COPY."""
    chance = np.random.default_rng(4)
    places = chance.normal(size=(8, 384))
    places /= np.linalg.norm(places, axis=1, keepdims=True)
    tenants = [Tenant.of(size, places, chance) for size in sizes]
    async with transaction(pool) as connection:
        await _tenants(connection, tenants)
        await connection.execute(_STAGE)
        rows = [row for tenant in tenants for row in tenant.rows()]
        await connection.copy_records_to_table("stage", records=rows)
        await connection.execute(_FILL[0], EMBEDDING_MODEL)
        for statement in _FILL[1:]:
            await connection.execute(statement)
    await pool.execute("ANALYZE tool_index")
    return tenants


async def _tenants(connection: Connection, tenants: list[Tenant]) -> None:
    await connection.copy_records_to_table(
        "organizations", records=[(one.scope.org_id, "org") for one in tenants], columns=("id", "name")
    )
    await connection.copy_records_to_table(
        "projects",
        records=[(one.scope.project_id, one.scope.org_id, "project") for one in tenants],
        columns=("id", "org_id", "name"),
    )
    await connection.copy_records_to_table(
        "integrations",
        records=[
            (integration, one.scope.org_id, alias, alias, "openapi")
            for one in tenants
            for integration, alias in ((one.on, "on"), (one.off, "off"))
        ],
        columns=("id", "org_id", "alias", "display_name", "source"),
    )
    await connection.copy_records_to_table(
        "project_integrations",
        records=[(one.scope.org_id, one.scope.project_id, one.off, False) for one in tenants],
        columns=("org_id", "project_id", "integration_id", "enabled"),
    )
