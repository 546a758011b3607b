"""A ranking in the vocabulary of selections: what a shortlist and a dry run show of each tool. Pure."""

from collections.abc import Iterable, Mapping

import numpy as np

from models.planning import Candidate, Exclusion, GroupChoice, ScenarioMatch
from retrieval.groups.routed import Routed
from retrieval.query import Pool, Ranked
from retrieval.scenarios.boosts import Boosts

# Scores are shown to a millionth; what remains of them in a sum of ten is below what the ranking can tell apart.
DIGITS = 6


def candidates(
    pool: Pool, ranked: Ranked, rows: Iterable[int], excluded: Mapping[int, Exclusion], *, raw: bool
) -> tuple[Candidate, ...]:
    """Rows of the pool as candidates, in the order given; with `raw` scores by part, and without."""
    return tuple(_candidate(pool, ranked, row, excluded.get(row), raw=raw) for row in rows)


def _candidate(pool: Pool, ranked: Ranked, row: int, excluded: Exclusion | None, *, raw: bool) -> Candidate:
    tool = pool.tools[row]
    dense = tuple(None if np.isnan(each) else round(float(each), DIGITS) for each in pool.dense[row]) if raw else ()
    return Candidate(
        tool_id=tool.tool_id,
        version=tool.version,
        name=tool.name,
        group=tool.group,
        score=round(float(ranked.score[row]), DIGITS),
        scores={name: round(float(part[row]), DIGITS) for name, part in ranked.contributions.items()},
        dense=dense,
        lexical=tuple(round(float(each), DIGITS) for each in pool.lexical[row]) if raw else (),
        excluded=excluded,
    )


def groups(routed: Routed | None) -> tuple[GroupChoice, ...]:
    if routed is None:
        return ()
    return tuple(
        GroupChoice(
            group=each.name,
            tools=each.size,
            routing=each.routing,
            similarity=round(each.similarity, DIGITS),
            expected=round(each.expected, DIGITS),
            part=each.part,
            coherence=round(each.coherence, DIGITS),
            why=each.why,
        )
        for each in routed.groups
    )


def scenarios(boosts: Boosts) -> tuple[ScenarioMatch, ...]:
    return tuple(
        ScenarioMatch(
            scenario_id=each.id,
            name=each.name,
            priority=each.priority,
            similarity=round(each.similarity, DIGITS),
            success_rate=round(each.success_rate, DIGITS),
            contribution=round(each.contribution, DIGITS),
            brought_in=each.brought_in,
            chosen=each is boosts.chosen,
        )
        for each in boosts.matched
    )
