"""A catalog written straight into the index, and a resident copy of which a test knows who answered."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import UUID

import numpy as np

from models.ids import IntegrationId, OrgId, ProjectId, ToolId
from models.tenants import OrgScope, ProjectScope
from planvault.clock import TimeOrderedIds
from planvault.storage import tool_index
from planvault.storage.pool import Pool, transaction
from planvault.storage.tool_index import IndexRow, ToEmbed
from retrieval.embedding import EMBEDDING_MODEL
from retrieval.groups.postgres import PostgresGroupRouter
from retrieval.groups.upkeep import GroupKeeper
from retrieval.index.port import CatalogState, PoolLimits
from retrieval.index.postgres import PostgresIndex
from retrieval.index.resident import ResidentIndex
from retrieval.query import IndexedTool, Query
from retrieval.query import Pool as Candidates
from retrieval.text import lexeme_id, lexemes, terms_of

IDS = TimeOrderedIds()
WORDS = ("list", "get", "create", "delete", "order", "invoice", "user", "ticket", "city", "weather", "flight", "hotel")


def vector_of(text: str) -> list[float]:
    """Texts that share words are near each other; no two are the same."""
    seeds = [0.1 * np.random.default_rng(lexeme_id(text)).normal(size=384)]
    seeds += [np.random.default_rng(lexeme_id(word)).normal(size=384) for word in lexemes(text) or ["?"]]
    whole = np.sum(seeds, axis=0)
    made: list[float] = (whole / np.linalg.norm(whole)).tolist()
    return made


def query_of(*parts: str) -> Query:
    vectors = np.array([vector_of(part) for part in parts], dtype=np.float32)
    return Query(parts, vectors, tuple(terms_of(part) for part in parts))


def catalog_of(count: int, seed: int = 1) -> list[str]:
    """Names of four words; each is another."""
    words = np.random.default_rng(seed).choice(WORDS, size=(count, 4)).tolist()
    return [f"{'_'.join(four)}_{number}" for number, four in enumerate(words)]


class Behind:
    """Postgres, counting what it was asked."""

    def __init__(self, pool: Pool) -> None:
        self.postgres = PostgresIndex(pool, EMBEDDING_MODEL)
        self.router = PostgresGroupRouter(pool, EMBEDDING_MODEL)
        self.searches = 0

    async def search(
        self,
        scope: ProjectScope,
        query: Query,
        limits: PoolLimits,
        groups: Sequence[UUID] | None = None,
        include: Sequence[ToolId] = (),
        seen: CatalogState | None = None,
    ) -> Candidates:
        self.searches += 1
        return await self.postgres.search(scope, query, limits, groups, include, seen)

    async def producers(
        self,
        scope: ProjectScope,
        integrations: Sequence[IntegrationId],
        entities: Sequence[str],
        limit: int,
        seen: CatalogState | None = None,
    ) -> list[IndexedTool]:
        return await self.postgres.producers(scope, integrations, entities, limit, seen)


@dataclass
class Desk:
    """One organisation with one project. Tools are named; their names are their texts."""

    pool: Pool
    scope: ProjectScope = field(
        default_factory=lambda: ProjectScope(org_id=OrgId(IDS.new()), project_id=ProjectId(IDS.new()))
    )
    tools: dict[str, ToolId] = field(default_factory=dict)

    @property
    def org(self) -> OrgScope:
        return OrgScope(org_id=self.scope.org_id)

    async def open(self) -> "Desk":
        await self.pool.execute("INSERT INTO organizations (id, name) VALUES ($1, 'org')", self.scope.org_id)
        await self.pool.execute(
            "INSERT INTO projects (id, org_id, name) VALUES ($1, $2, 'project')",
            self.scope.project_id,
            self.scope.org_id,
        )
        return self

    async def integration(self) -> IntegrationId:
        made = IntegrationId(IDS.new())
        await self.pool.execute(
            "INSERT INTO integrations (id, org_id, alias, display_name, source) VALUES ($1, $2, $3, $3, 'openapi')",
            made,
            self.scope.org_id,
            str(made),
        )
        return made

    async def put(
        self,
        integration: IntegrationId,
        names: Sequence[str],
        *,
        produces: Sequence[str] = (),
        embedded: bool = True,
        version: int = 1,
        text: str = "",
    ) -> None:
        """Insert or replace; `text` instead of the names says something else of all of them."""
        for name in names:
            self.tools.setdefault(name, ToolId(IDS.new()))
        rows = [self._row(integration, name, tuple(produces), version, text) for name in names]
        async with transaction(self.pool) as connection:
            await tool_index.upsert(connection, self.org, rows)
        if embedded:
            pairs = [(_to_embed(row), vector_of(row.document)) for row in rows]
            async with transaction(self.pool) as connection:
                await tool_index.set_embeddings(connection, self.org, integration, pairs, EMBEDDING_MODEL)

    async def group(self, integration: IntegrationId, groups: dict[str, UUID | None]) -> None:
        async with transaction(self.pool) as connection:
            named = {self.tools[name]: group for name, group in groups.items()}
            await tool_index.set_groups(connection, self.org, integration, named)

    async def regroup(self, integration: IntegrationId) -> None:
        await GroupKeeper(self.pool, IDS, EMBEDDING_MODEL).regroup(self.org, integration)

    async def retire(self, integration: IntegrationId, names: Sequence[str], *, back: bool = False) -> None:
        change = tool_index.reactivate if back else tool_index.deactivate
        async with transaction(self.pool) as connection:
            await change(connection, self.org, integration, [self.tools[name] for name in names])

    async def switch(self, integration: IntegrationId, *, enabled: bool) -> None:
        await self.pool.execute(
            """INSERT INTO project_integrations (org_id, project_id, integration_id, enabled) VALUES ($1, $2, $3, $4)
               ON CONFLICT (project_id, integration_id) DO UPDATE SET enabled = excluded.enabled""",
            self.scope.org_id,
            self.scope.project_id,
            integration,
            enabled,
        )

    async def delete(self, integration: IntegrationId) -> None:
        await self.pool.execute(
            "DELETE FROM integrations WHERE id = $1 AND org_id = $2", integration, self.scope.org_id
        )

    def _row(
        self, integration: IntegrationId, name: str, produces: tuple[str, ...], version: int, text: str
    ) -> IndexRow:
        held = tuple(dict.fromkeys(lexemes(text or name)))
        return IndexRow(
            tool_id=self.tools[name],
            version=version,
            integration_id=integration,
            name=name,
            group=name.split("_")[0],
            document=text or name,
            lexemes=held,
            impacts={lexeme_id(lexeme): _impact(name, lexeme) for lexeme in held},
            requires=("order",) if "order" in name else (),
            produces=produces,
            entry_revision=1,
        )


def _to_embed(row: IndexRow) -> ToEmbed:
    return ToEmbed(row.tool_id, row.version, row.document, sha256(row.document.encode()).digest())


def _impact(name: str, lexeme: str) -> float:
    """No two tools score the same."""
    return 0.1 + 0.8 * float(np.random.default_rng(lexeme_id(f"{name} {lexeme}")).random())


async def warm(index: ResidentIndex, behind: Behind, scope: ProjectScope) -> None:
    """Ask until the copy answers."""
    for _ in range(20):
        asked = behind.searches
        await index.search(scope, query_of("anything"), PoolLimits(1, 1))
        if behind.searches == asked:
            return
        await index.caught_up()
    raise AssertionError("the copy never answered")
