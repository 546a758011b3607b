"""The shortlist: which of a project's tools the planner may see for one prompt. A pipeline of timed stages."""

from dataclasses import dataclass
from typing import Protocol

from models.planning import Selection, SelectionOptions
from models.retrieval import RetrievalSettings
from models.tenants import ProjectScope
from planvault.errors import Unavailable
from planvault.ports import Clock, Embedder
from planvault.storage.pool import Pool
from retrieval import explanation
from retrieval.candidates import Finder, Found
from retrieval.caps import Cut, cut
from retrieval.facts import Facts, read_facts
from retrieval.patience import Absence
from retrieval.producers import lacking
from retrieval.prompts import read_prompt, read_without_model
from retrieval.query import Query, Ranked
from retrieval.ranking import rank
from retrieval.scenarios.boosts import NO_BOOSTS, Boosts
from retrieval.stages import Stages
from retrieval.tiers import Chosen, choose_tier

WITHOUT_VECTORS = "The embedding model does not answer: tools were ranked by their text alone."
NOTHING_FOUND = "No tool shares a word with the prompt, and none could be compared with it by meaning."


class BoostsOf(Protocol):
    """What scenarios and usage add; retrieval.scenarios.source in production."""

    async def of(self, scope: ProjectScope, query: Query, settings: RetrievalSettings) -> Boosts: ...


@dataclass(frozen=True, slots=True)
class _Made:
    """What the stages before the answer came to."""

    chosen: Chosen
    facts: Facts
    query: Query
    boosts: Boosts
    found: Found
    ranked: Ranked
    kept: Cut


class Selector:
    """Implements the ToolSelector port.

    facts → prompt (clauses, vectors, terms) → boosts → candidates of the tier → ranking → cut. A tool without a vector
    is found by its text. While the embedder is away a selection is Unavailable, which callers ask again; when it has
    been away for long, tools are ranked by their text and the selection says so.
    """

    def __init__(self, database: Pool, embedder: Embedder, finder: Finder, boosts: BoostsOf, clock: Clock) -> None:
        self._database = database
        self._embedder = embedder
        self._finder = finder
        self._boosts = boosts
        self._clock = clock
        self._absence = Absence()

    @property
    def finder(self) -> Finder:
        """Where its candidates come from."""
        return self._finder

    async def select(self, scope: ProjectScope, query: str, options: SelectionOptions | None = None) -> Selection:
        """The project's enabled tools, best first, equal scores by name. Raises NotFound for an unknown project, and
        Unavailable."""
        options = options or SelectionOptions()
        stages = Stages(self._clock.monotonic)
        with stages.timed("facts"):
            facts = await read_facts(self._database, scope)
        chosen = choose_tier(facts.size, facts.settings, mode=options.mode, max_tools=options.max_tools)
        if not facts.size:
            return _of_nothing(chosen, query, stages)
        with stages.timed("embed"):
            read = await self._read(query)
        with stages.timed("boosts"):
            boosts = NO_BOOSTS if read.blind else await self._boosts.of(scope, read, facts.settings)
        found = await self._finder.find(scope, read, chosen, facts, stages, boosts.bring_in)
        found, ranked = await self._ranked(scope, read, found, boosts, facts, stages)
        with stages.timed("rank"):
            groups = [tool.group for tool in found.pool.tools]
            # Direct shows everything; its limit is the only thing that can take a tool out.
            cap = 0 if chosen.shows_all else facts.settings.per_group_cap
            kept = cut(ranked.order.tolist(), groups, chosen.limit, cap)
        return _answer(_Made(chosen, facts, read, boosts, found, ranked, kept), options.explain, stages)

    async def _ranked(
        self, scope: ProjectScope, query: Query, found: Found, boosts: Boosts, facts: Facts, stages: Stages
    ) -> tuple[Found, Ranked]:
        """In order; where the best lack inputs that no candidate gives, with the tools that give them."""
        weights = facts.settings.weights
        with stages.timed("rank"):
            ranked = rank(found.pool, boosts, weights)
            lacks = lacking(found.pool, ranked) if weights.links and not found.whole else None
        if lacks is None:
            return found, ranked
        with stages.timed("links"):
            wider = await self._finder.with_producers(scope, query, found, lacks, facts)
        if wider is found:
            return found, ranked
        with stages.timed("rank"):
            return wider, rank(wider.pool, boosts, weights)

    async def _read(self, text: str) -> Query:
        """The prompt, without vectors where the model has been away for long. Raises Unavailable."""
        try:
            read = await read_prompt(self._embedder, text)
        except Unavailable:
            if not self._absence.is_too_long(self._clock.monotonic()):
                raise
            return read_without_model(text)
        self._absence.answered()
        return read


def _of_nothing(chosen: Chosen, text: str, stages: Stages) -> Selection:
    return Selection(
        tier=chosen.tier,
        tier_reason=chosen.reason,
        catalog_size=0,
        shortlist=(),
        parts=(text,),
        timings_ms=stages.milliseconds(),
    )


def _answer(made: _Made, explain: int, stages: Stages) -> Selection:
    """`explain`: how many candidates are shown with their raw scores, the shortlist among them; 0: only that."""
    pool, ranked, kept = made.found.pool, made.ranked, made.kept
    rest = [row for row in ranked.order.tolist() if row in kept.excluded][: max(0, explain - len(kept.kept))]
    shown = explanation.candidates(pool, ranked, [*kept.kept, *rest], kept.excluded, raw=explain > 0)
    notes = (WITHOUT_VECTORS if made.query.blind else "", made.found.note, "" if pool.tools else NOTHING_FOUND)
    return Selection(
        tier=made.chosen.tier,
        tier_reason=made.chosen.reason,
        catalog_size=made.facts.size,
        shortlist=shown[: len(kept.kept)],
        candidates=shown if explain else (),
        parts=made.query.parts,
        groups=explanation.groups(made.found.routed) if explain else (),
        scenarios=explanation.scenarios(made.boosts),
        instruction=made.boosts.instruction,
        degraded=tuple(note for note in notes if note),
        timings_ms=stages.milliseconds(),
    )
