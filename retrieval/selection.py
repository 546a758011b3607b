"""The shortlist: which of a project's tools the planner may see for one prompt."""

from models.planning import Candidate, Selection
from models.tenants import ProjectScope
from planvault.clock import SystemClock
from planvault.ports import Clock, Embedder
from planvault.storage.pool import Pool
from retrieval.embedding import EMBEDDING_MODEL
from retrieval.index import Hit, ToolIndex
from retrieval.tiers import choose_tier, shortlist_size


class Selector:
    """Implements the ToolSelector port: Direct for small catalogs, vector search above.

    Both tiers rank by cosine and explain each score; Direct returns every enabled tool, embedded yet or not.
    """

    def __init__(
        self, pool: Pool, embedder: Embedder, *, model: str = EMBEDDING_MODEL, clock: Clock | None = None
    ) -> None:
        self._index = ToolIndex(pool)
        self._embedder = embedder
        self._model = model
        self._clock = clock or SystemClock()

    async def select(self, scope: ProjectScope, query: str, max_tools: int) -> Selection:
        """At most `max_tools` (1 … 200) enabled tools, best first, equal scores by name."""
        limit = shortlist_size(max_tools)
        started = self._clock.monotonic()
        size = await self._index.size(scope)
        counted = self._clock.monotonic()
        vectors = await self._embedder.embed([query]) if size else []
        embedded = self._clock.monotonic()
        hits = await self._index.nearest(scope, vectors[0], self._model, limit) if vectors else []
        searched = self._clock.monotonic()
        return Selection(
            tier=choose_tier(size, limit),
            catalog_size=size,
            shortlist=tuple(map(_candidate, hits)),
            timings_ms={
                "count": _ms(counted - started),
                "embed": _ms(embedded - counted),
                "search": _ms(searched - embedded),
                "total": _ms(searched - started),
            },
        )


def _candidate(hit: Hit) -> Candidate:
    """A tool without an embedding scores 0 and names no part: nobody may read a similarity into it."""
    score = 0.0 if hit.score is None else round(hit.score, 6)
    return Candidate(
        tool_id=hit.tool_id,
        version=hit.version,
        name=hit.name,
        group=hit.group,
        score=score,
        scores={} if hit.score is None else {"vector": score},
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1_000, 3)
