"""Increments lead where a full rebuild leads, whatever happened to the catalog before."""

import random
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from models.ids import IntegrationId, ToolId
from tests.integration.retrieval.groups.catalog import GroupCatalog
from tests.unit.retrieval.groups.vectors import around

_GROUPS = ["api/users", "api/orders", "api/odd", "api/catch-all"]


@dataclass
class _Changes:
    """Random changes of one integration, grouped after some of them and not after others."""

    catalog: GroupCatalog
    integration: IntegrationId
    random: random.Random
    active: list[ToolId] = field(default_factory=list)
    retired: list[ToolId] = field(default_factory=list)

    async def one(self) -> None:
        await self.random.choice([self._add, self.add_many, self._change, self._retire, self._revive])()
        if self.random.random() < 0.7:
            await self.catalog.keeper.regroup(self.catalog.org, self.integration)

    def _vectors(self, count: int) -> NDArray[np.float32]:
        topics = [around(self.random.randrange(12), 1, seed=self.random.randrange(1_000_000)) for _ in range(count)]
        return np.concatenate(topics)

    async def _add(self) -> None:
        count = self.random.randrange(1, 8)
        self.active += await self.catalog.put(self.integration, self.random.choice(_GROUPS), self._vectors(count))

    async def add_many(self) -> None:
        self.active += await self.catalog.put(self.integration, "api/catch-all", self._vectors(30))

    async def _change(self) -> None:
        some = self._some(self.active)
        await self.catalog.put(self.integration, self.random.choice(_GROUPS), self._vectors(len(some)), some)

    async def _retire(self) -> None:
        some = self._some(self.active)
        await self.catalog.retire(self.integration, some)
        self.active = [tool for tool in self.active if tool not in some]
        self.retired += some

    async def _revive(self) -> None:
        some = self._some(self.retired)
        await self.catalog.revive(self.integration, some)
        self.retired = [tool for tool in self.retired if tool not in some]
        self.active += some

    def _some(self, tools: list[ToolId]) -> list[ToolId]:
        return self.random.sample(tools, min(len(tools), self.random.randrange(1, 6)))


@pytest.mark.parametrize("seed", range(3))
async def test_increments_give_the_groups_and_centroids_of_a_full_rebuild(catalog: GroupCatalog, seed: int) -> None:
    integration = await catalog.integration()
    changes = _Changes(catalog, integration, random.Random(seed))
    await changes.add_many()
    for _ in range(12):
        await changes.one()
    await catalog.keeper.regroup(catalog.org, integration)
    stepwise, names = await catalog.centroids(integration), await catalog.groups(integration)
    assert {tool for tools in stepwise for tool in tools} == set(changes.active)

    await catalog.pool.execute("DELETE FROM tool_group_centroids WHERE integration_id = $1", integration)
    await catalog.pool.execute("UPDATE tool_index SET group_id = NULL WHERE integration_id = $1", integration)
    await catalog.keeper.regroup(catalog.org, integration)
    rebuilt = await catalog.centroids(integration)
    assert rebuilt.keys() == stepwise.keys()
    assert await catalog.groups(integration) == names
    for tools, centroid in rebuilt.items():
        np.testing.assert_allclose(centroid, stepwise[tools], atol=1e-6)
