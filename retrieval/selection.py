"""The shortlist: which of a project's tools the planner may see for one prompt."""

from models.planning import Candidate, Selection, SelectionOptions
from models.tenants import ProjectScope
from planvault.clock import SystemClock
from planvault.ports import Clock, Embedder
from planvault.storage.pool import Pool
from retrieval.embedding import EMBEDDING_MODEL
from retrieval.facts import read_facts
from retrieval.index.nearest import Hit, ToolIndex
from retrieval.tiers import choose_tier


class Selector:
    """Implements the ToolSelector port: Direct for small catalogs, vector search above.

    Both tiers rank by cosine and explain each score; Direct returns every enabled tool, embedded yet or not.
    """

    def __init__(
        self, pool: Pool, embedder: Embedder, *, model: str = EMBEDDING_MODEL, clock: Clock | None = None
    ) -> None:
        self._pool = pool
        self._index = ToolIndex(pool)
        self._embedder = embedder
        self._model = model
        self._clock = clock or SystemClock()

    async def select(self, scope: ProjectScope, query: str, options: SelectionOptions | None = None) -> Selection:
        """The project's enabled tools, best first, equal scores by name. Raises NotFound for an unknown project."""
        started = self._clock.monotonic()
        options = options or SelectionOptions()
        facts = await read_facts(self._pool, scope)
        chosen = choose_tier(facts.size, facts.settings, mode=options.mode, max_tools=options.max_tools)
        counted = self._clock.monotonic()
        vectors = await self._embedder.embed([query]) if facts.size else []
        embedded = self._clock.monotonic()
        hits = await self._index.nearest(scope, vectors[0], self._model, chosen.limit) if vectors else []
        searched = self._clock.monotonic()
        return Selection(
            tier=chosen.tier,
            tier_reason=chosen.reason,
            catalog_size=facts.size,
            shortlist=tuple(map(_candidate, hits)),
            timings_ms={
                "facts": _ms(counted - started),
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
