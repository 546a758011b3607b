"""A selection while the embedding model is away."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.planning import SelectionOptions
from planvault.crypto.kek import LocalKeyWrapper
from planvault.errors import Unavailable
from planvault.ports import Span, Vector
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import Pool
from retrieval.assembly import open_selector
from retrieval.embedding import InProcessEmbedder
from retrieval.patience import EMBEDDER_PATIENCE_S
from retrieval.selection import WITHOUT_VECTORS
from tests.integration.retrieval.conftest import IDS, CatalogWriter

TOOLS = {
    "cancelOrder": "cancel order (shop). Cancel an order that has not shipped",
    "listCustomers": "list customers (shop). All customers",
    "getWeather": "get weather (weather). Forecast for a city",
}


@dataclass
class Doorbell:
    """An embedder that may be away."""

    inner: InProcessEmbedder
    away: bool = False

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        return await self.inner.embed(texts)

    async def embed_prompt(self, text: str, spans: Sequence[Span]) -> list[Vector]:
        if self.away:
            raise Unavailable("The embedder application does not answer.")
        return await self.inner.embed_prompt(text, spans)


@dataclass
class HandClock:
    seconds: float = 0.0

    def now(self) -> datetime:
        return datetime(2027, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds


async def test_a_short_absence_is_unavailable_and_a_long_one_is_a_shortlist_by_text_that_says_so(
    pool: Pool, catalog: CatalogWriter, embedder: InProcessEmbedder, tmp_path: Path
) -> None:
    scope = await catalog.project()
    await catalog.add(scope, await catalog.integration(scope, "shop"), TOOLS)
    clock, door = HandClock(), Doorbell(embedder)
    keyring = PostgresKeyring(pool, LocalKeyWrapper.at(tmp_path / "keys.json"), IDS)
    async with open_selector(pool, keyring, door, clock) as selector:
        with_it = await selector.select(scope, "cancel my order please")
        assert (with_it.degraded, with_it.shortlist[0].name) == ((), "cancelOrder")

        door.away = True
        for clock.seconds in (100.0, 100.0 + EMBEDDER_PATIENCE_S - 1):
            with pytest.raises(Unavailable):
                await selector.select(scope, "cancel my order please")
        clock.seconds = 100.0 + EMBEDDER_PATIENCE_S
        for strategy in ("direct", "full_rag", "hierarchical_rag"):
            options = SelectionOptions.model_validate({"mode": strategy, "explain": 10})
            without = await selector.select(scope, "cancel my order please", options)
            assert without.degraded == (WITHOUT_VECTORS,)
            assert without.shortlist[0].name == "cancelOrder"
            for candidate in without.candidates:
                assert set(candidate.dense) == {None}
                assert sum(candidate.scores.values()) == pytest.approx(candidate.score, abs=1e-5)

        door.away = False
        again = await selector.select(scope, "cancel my order please")
        assert (again.degraded, again.shortlist) == ((), with_it.shortlist)
