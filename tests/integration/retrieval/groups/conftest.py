import pytest

from planvault.storage.pool import Pool
from tests.integration.retrieval.groups.catalog import GroupCatalog


@pytest.fixture
async def catalog(pool: Pool) -> GroupCatalog:
    return await GroupCatalog.create(pool)
