"""The index in process memory, held to the same contract as the one in Postgres."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import pytest

from models.ids import IntegrationId, ToolId
from models.tenants import ProjectScope
from planvault.storage.pool import Pool
from retrieval.index.port import PoolLimits, ToolIndex
from retrieval.index.resident import ResidentIndex, ResidentOptions
from retrieval.query import IndexedTool, Query
from retrieval.query import Pool as Candidates
from tests.integration.retrieval.index_contract import IndexContract
from tests.integration.retrieval.resident_desk import Behind

pytestmark = pytest.mark.postgres


@dataclass
class Followed:
    """A resident index whose copy is given the time to follow, so that the copy is what answers."""

    index: ResidentIndex

    async def search(
        self,
        scope: ProjectScope,
        query: Query,
        limits: PoolLimits,
        groups: Sequence[UUID] | None = None,
        include: Sequence[ToolId] = (),
    ) -> Candidates:
        first = await self.index.search(scope, query, limits, groups, include)
        await self.index.caught_up()
        answer = await self.index.search(scope, query, limits, groups, include)
        assert {tool.tool_id for tool in first.tools} == {tool.tool_id for tool in answer.tools}
        return answer

    async def producers(
        self, scope: ProjectScope, integrations: Sequence[IntegrationId], entities: Sequence[str], limit: int
    ) -> list[IndexedTool]:
        await self.index.producers(scope, integrations, entities, limit)
        await self.index.caught_up()
        return await self.index.producers(scope, integrations, entities, limit)


class TestResidentIndex(IndexContract):
    @pytest.fixture
    async def index(self, pool: Pool) -> AsyncIterator[ToolIndex]:
        behind = Behind(pool)
        options = ResidentOptions(max_bytes=64 << 20, min_tools=1)
        async with ResidentIndex(pool, behind, behind.router, options).open() as opened:
            yield Followed(opened)
