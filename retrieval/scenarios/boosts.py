"""What scenarios and usage add to the scores of tools. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final
from uuid import UUID

from models.ids import ToolId
from models.retrieval import RetrievalSettings
from retrieval.scenarios.rates import Tally, standing, success_rate, usage_share

# In the ranking's units, at weight 1: what a scenario can add to a score at most. One unit is about the deviation of
# cosines in a pool, the best match of a prompt scores some 25. What runs have shown moves tools across neighbours; a
# person's word that fits strongly is meant to decide, so its tools make the cut from the bottom of the pool.
SCENARIO_CAP: Final = 6.0
STRONG_CAP: Final = 40.0
# Cosine of the prompt, or of one of its clauses, to a sample. From MATCH on a scenario counts; from STRONG on a manual
# one brings its tools in, whatever the index found, and its instruction reaches the planner (docs/scenarios.md).
MATCH: Final = 0.6
STRONG: Final = 0.75
_MANUAL_PRIORITY: Final = 2


@dataclass(frozen=True, slots=True)
class KnownScenario:
    """A scenario near the prompt, as it is stored. `tools`: those that the project may call now."""

    id: UUID
    name: str  # empty for an automatic one
    priority: int  # 1: automatic, 2 … 100: manual
    tools: Sequence[ToolId]
    tally: Tally
    similarity: float  # cosine to the nearest sample, -1 … 1

    @property
    def is_manual(self) -> bool:
        return self.priority >= _MANUAL_PRIORITY

    @property
    def is_strong(self) -> bool:
        return self.is_manual and self.similarity >= STRONG


@dataclass(frozen=True, slots=True)
class MatchedScenario:
    """What one scenario did, for explanations: `contribution` is what each of its tools got, before the cap."""

    id: UUID
    name: str
    priority: int
    similarity: float
    success_rate: float
    contribution: float
    tools: tuple[ToolId, ...]
    brought_in: bool


@dataclass(frozen=True, slots=True)
class Boosts:
    """Contributions by tool in the ranking's units: weighted and capped, to be added to scores as they are. Usage is
    above 0; a scenario that keeps failing takes from its tools.

    `bring_in`: tools that are candidates even where no index found them, all enabled in the project.
    `chosen`: the scenario whose `instruction` goes to the planner, its `{{key}}` unfilled; None where none matches
    strongly. `matched`: every scenario that counted, the largest contribution first.
    """

    scenario: Mapping[ToolId, float] = field(default_factory=lambda: MappingProxyType({}))
    usage: Mapping[ToolId, float] = field(default_factory=lambda: MappingProxyType({}))
    bring_in: tuple[ToolId, ...] = ()
    chosen: MatchedScenario | None = None
    instruction: str = ""
    matched: tuple[MatchedScenario, ...] = ()


NO_BOOSTS: Final = Boosts()


def half_life(settings: RetrievalSettings) -> timedelta:
    return timedelta(days=settings.decay_half_life_days)


def matched(near: Sequence[KnownScenario], settings: RetrievalSettings, now: datetime) -> tuple[MatchedScenario, ...]:
    """The scenarios that count, the largest contribution first, equal ones by id.

    `cap × cosine × standing × priority`: standing is the success rate less the failure rate, the priority counts 0.5
    (automatic) … 1 (100).
    """
    found = [_match(each, settings, now) for each in near if each.similarity >= MATCH and each.tools]
    return tuple(sorted((each for each in found if each.contribution != 0), key=lambda it: (-it.contribution, it.id)))


def scenario_contributions(found: Sequence[MatchedScenario]) -> dict[ToolId, float]:
    """What speaks for a tool most, and what speaks against it most: scenarios that agree are one opinion."""
    best: dict[ToolId, float] = {}
    worst: dict[ToolId, float] = {}
    for each in found:
        for tool in each.tools:
            best[tool] = max(best.get(tool, 0.0), each.contribution)
            worst[tool] = min(worst.get(tool, 0.0), each.contribution)
    return {tool: best[tool] + worst[tool] for tool in best if best[tool] + worst[tool] != 0}


def usage_contributions(uses: Mapping[ToolId, float], settings: RetrievalSettings) -> dict[ToolId, float]:
    """From uses that were decayed to now."""
    most = settings.usage_boost_cap * settings.weights.usage
    shares = {tool: usage_share(count) for tool, count in uses.items()}
    return {tool: most * share for tool, share in shares.items() if most * share > 0}


def _match(known: KnownScenario, settings: RetrievalSettings, now: datetime) -> MatchedScenario:
    tally = known.tally.as_of(now, half_life(settings))
    counts = standing(tally, manual=known.is_manual)
    weight = (STRONG_CAP if known.is_strong else SCENARIO_CAP) * settings.weights.scenario
    return MatchedScenario(
        id=known.id,
        name=known.name,
        priority=known.priority,
        similarity=known.similarity,
        success_rate=success_rate(tally, manual=known.is_manual),
        contribution=weight * min(known.similarity, 1.0) * counts * _priority_factor(known.priority),
        tools=tuple(known.tools),
        brought_in=known.is_strong,
    )


def _priority_factor(priority: int) -> float:
    return 0.5 + (priority - 1) / 198
