"""The index in Postgres."""

import pytest

from planvault.storage.pool import Pool
from retrieval.embedding import EMBEDDING_MODEL
from retrieval.index.port import ToolIndex
from retrieval.index.postgres import PostgresIndex
from tests.integration.retrieval.index_contract import IndexContract

pytestmark = pytest.mark.postgres


class TestPostgresIndex(IndexContract):
    @pytest.fixture
    def index(self, pool: Pool) -> ToolIndex:
        return PostgresIndex(pool, EMBEDDING_MODEL)
