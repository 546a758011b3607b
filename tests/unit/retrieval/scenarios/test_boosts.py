"""What scenarios and usage add to scores."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from models.ids import ToolId
from models.retrieval import RankingWeights, RetrievalSettings
from retrieval.scenarios.boosts import (
    MATCH,
    SCENARIO_CAP,
    STRONG,
    STRONG_CAP,
    KnownScenario,
    matched,
    scenario_contributions,
    usage_contributions,
)
from retrieval.scenarios.rates import Tally

NOW = datetime(2027, 3, 1, tzinfo=UTC)
SETTINGS = RetrievalSettings()
A, B, C = (ToolId(UUID(int=number)) for number in (1, 2, 3))


def known(
    priority: int = 1, similarity: float = 0.9, successes: float = 4.0, failures: float = 0.0, number: int = 1
) -> KnownScenario:
    return KnownScenario(UUID(int=number), "", priority, (A,), Tally(successes, failures, NOW), similarity)


def contribution(scenario: KnownScenario, settings: RetrievalSettings = SETTINGS, now: datetime = NOW) -> float:
    return scenario_contributions(matched([scenario], settings, now)).get(A, 0.0)


def test_a_scenario_counts_by_cosine_success_rate_and_priority() -> None:
    base = contribution(known())
    assert contribution(known(similarity=0.7)) < base
    assert contribution(known(failures=2.0)) < base
    assert contribution(known(priority=60)) > base
    assert contribution(known(similarity=0.7, priority=100, successes=1e9)) == pytest.approx(0.7 * SCENARIO_CAP)
    assert contribution(known(similarity=0.9, priority=100, successes=1e9)) == pytest.approx(0.9 * STRONG_CAP)


def test_below_the_match_nothing_counts_and_no_evidence_is_no_contribution() -> None:
    assert contribution(known(similarity=MATCH - 0.001)) == 0
    assert contribution(known(successes=0.0)) == 0


def test_a_success_that_is_long_past_counts_for_little() -> None:
    life = timedelta(days=SETTINGS.decay_half_life_days)
    fresh, old, ancient = (contribution(known(successes=1.0), now=NOW + n * life) for n in (0, 2, 8))
    assert fresh > 2 * old > 4 * ancient > 0


def test_scenarios_that_agree_are_one_opinion() -> None:
    one = scenario_contributions(matched([known()], SETTINGS, NOW))
    crowd = [known(number=number, similarity=0.9) for number in range(1, 20)]
    assert scenario_contributions(matched(crowd, SETTINGS, NOW)) == one


def test_what_speaks_for_a_tool_and_what_speaks_against_it_are_weighed() -> None:
    good, bad = known(successes=9.0), known(successes=1.0, failures=9.0, number=2, similarity=0.7)
    [for_it, against] = (contribution(each) for each in (good, bad))
    assert against < 0 < for_it
    both = scenario_contributions(matched([good, bad], SETTINGS, NOW))
    assert both == {A: pytest.approx(for_it + against)}


def test_no_evidence_of_any_size_goes_beyond_the_cap() -> None:
    huge = known(priority=100, similarity=1.0000002, successes=1e12)
    assert contribution(huge) <= STRONG_CAP
    assert contribution(replace(huge, priority=1)) <= SCENARIO_CAP / 2
    doubled = SETTINGS.model_copy(update={"weights": RankingWeights(scenario=2.0)})
    assert contribution(huge, doubled) <= 2 * STRONG_CAP


def test_only_a_strongly_matching_manual_scenario_brings_tools_in() -> None:
    [weak] = matched([known(priority=50, similarity=STRONG - 0.01)], SETTINGS, NOW)
    [strong] = matched([known(priority=50, similarity=STRONG)], SETTINGS, NOW)
    [automatic] = matched([known(priority=1, similarity=0.99)], SETTINGS, NOW)
    assert [weak.brought_in, strong.brought_in, automatic.brought_in] == [False, True, False]


def test_a_scenario_whose_tools_the_project_may_not_call_does_not_count() -> None:
    assert matched([replace(known(), tools=())], SETTINGS, NOW) == ()


def test_usage_ends_at_its_cap() -> None:
    found = usage_contributions({A: 3.0, B: 1e9, C: 0.0}, SETTINGS)
    assert 0 < found[A] < found[B] == SETTINGS.usage_boost_cap
    assert C not in found


def test_a_tool_used_a_million_times_gains_less_over_its_neighbours_than_one_scenario_gives() -> None:
    """A tool that everybody uses and nobody needs now does not outrun the one that this intent needed."""
    usage = usage_contributions({A: 5.0, B: 1e6}, SETTINGS)
    needed = scenario_contributions(matched([known(successes=2.0)], SETTINGS, NOW))
    assert usage[A] + needed[A] > usage[B]


def test_a_weight_of_zero_takes_either_part_out() -> None:
    off = SETTINGS.model_copy(update={"weights": RankingWeights(scenario=0, usage=0)})
    assert scenario_contributions(matched([known()], off, NOW)) == {}
    assert usage_contributions({A: 9.0}, off) == {}
