"""A pool in its order."""

from dataclasses import replace
from uuid import UUID

import numpy as np
import pytest

from models.ids import IntegrationId
from models.retrieval import RankingWeights
from retrieval.query import Pool
from retrieval.ranking import rank
from retrieval.scenarios.boosts import NO_BOOSTS, Boosts
from tests.unit.retrieval.pool_factory import indexed, pool_of, random_pool

PLAIN = RankingWeights()


def names(pool: Pool, weights: RankingWeights = PLAIN, boosts: Boosts = NO_BOOSTS) -> list[str]:
    return [pool.tools[row].name for row in rank(pool, boosts, weights).order]


def shuffled(pool: Pool, seed: int) -> Pool:
    rows = np.random.default_rng(seed).permutation(len(pool.tools))
    return replace(pool, tools=[pool.tools[row] for row in rows], dense=pool.dense[rows], lexical=pool.lexical[rows])


@pytest.mark.parametrize("parts", [1, 2, 9])
@pytest.mark.parametrize("tools", [0, 1, 2, 150])
def test_contributions_add_up_to_the_score_and_the_order_is_that_of_scores(tools: int, parts: int) -> None:
    pool = random_pool(tools * 10 + parts, tools, parts)
    ranked = rank(pool, NO_BOOSTS, PLAIN)
    assert sorted(ranked.order.tolist()) == list(range(tools))
    np.testing.assert_allclose(np.sum(list(ranked.contributions.values()), axis=0), ranked.score, atol=1e-9)
    assert np.all(np.diff(ranked.score[ranked.order]) <= 0)
    assert np.isfinite(ranked.score).all()


@pytest.mark.parametrize("seed", range(5))
def test_the_order_does_not_depend_on_the_order_of_the_pool(seed: int) -> None:
    pool = random_pool(seed, 80, 4)
    assert names(pool) == names(shuffled(pool, seed)) == names(pool)


def test_equal_scores_stand_by_name() -> None:
    pool = pool_of([indexed(name) for name in ("c", "a", "b")], [[0.5]] * 3)
    assert names(pool) == names(shuffled(pool, 1)) == ["a", "b", "c"]


def test_what_a_tool_matches_by_itself_does_not_depend_on_the_other_candidates() -> None:
    pool = random_pool(3, 60, 3)
    few = replace(pool, tools=pool.tools[:40], dense=pool.dense[:40], lexical=pool.lexical[:40])
    few, pool = (replace(each, dense=np.nan_to_num(each.dense, nan=0.2)) for each in (few, pool))
    whole, part = rank(pool, NO_BOOSTS, PLAIN), rank(few, NO_BOOSTS, PLAIN)
    for own in ("dense", "lexical", "clauses"):
        np.testing.assert_allclose(whole.contributions[own][:40], part.contributions[own])


def test_an_irrelevant_candidate_of_a_group_of_its_own_leaves_the_others_in_their_order() -> None:
    pool = replace(random_pool(5, 60, 3), dense=np.random.default_rng(5).normal(0.4, 0.1, (60, 3)).astype(np.float32))
    more = Pool(
        [*pool.tools, indexed("zz", group="alone")],
        np.vstack([pool.dense, np.full((1, 3), -0.1, np.float32)]),
        np.vstack([pool.lexical, np.zeros((1, 3), np.float32)]),
    )
    assert names(more, RankingWeights(groups=0)) == [*names(pool, RankingWeights(groups=0)), "zz"]


def test_a_clause_that_another_outweighs_keeps_its_best_tool() -> None:
    """Twenty tools of a long first clause against one that only the second names."""
    tools = [indexed(f"weather{row:02d}", group=f"g{row}") for row in range(20)] + [indexed("mail", group="mail")]
    dense = [[0.6, 0.6 - row / 100, 0.1] for row in range(20)] + [[0.3, 0.1, 0.6]]
    assert names(pool_of(tools, dense)).index("mail") <= 10
    assert names(pool_of(tools, [row[:1] for row in dense])).index("mail") == 20


def test_a_prompt_without_clauses_has_no_quotas() -> None:
    assert not rank(random_pool(1, 30, 1), NO_BOOSTS, PLAIN).contributions["quota"].any()


def test_members_of_a_matching_group_come_before_equals_elsewhere() -> None:
    tools = [indexed(f"{group}-{row}", group=group) for group in "abcd" for row in range(3)]
    dense = [[{"a": 0.3, "b": 0.6, "c": 0.25, "d": 0.2}[tool.group] + int(tool.name[-1]) / 50] for tool in tools]
    dense[0] = [0.5]  # a-0 matches as well as members of b by itself
    pool = pool_of(tools, dense)
    ranked = rank(pool, NO_BOOSTS, PLAIN)
    assert ranked.contributions["groups"][3] > ranked.contributions["groups"][0] > 0


def test_tools_of_a_matching_integration_come_before_equals_elsewhere() -> None:
    """Groups of one tool each, as tags may be: what belongs together is known by the integration."""
    tools = [
        indexed(f"{owner}-{row}", group=f"{owner}/{row}", integration=IntegrationId(UUID(int=owner)))
        for owner in (1, 2, 3)
        for row in range(4)
    ]
    dense = [[{1: 0.3, 2: 0.6, 3: 0.2}[tool.integration_id.int] + int(tool.name[-1]) / 50] for tool in tools]
    dense[0] = dense[4] = [0.5]
    ranked = rank(pool_of(tools, dense), NO_BOOSTS, PLAIN)
    assert ranked.contributions["integration"][4] > ranked.contributions["integration"][0] > 0
    assert ranked.score[4] > ranked.score[0]


def test_one_group_for_all_changes_nothing() -> None:
    pool = random_pool(9, 50, 2)
    one = replace(pool, tools=[replace(tool, group="all") for tool in pool.tools])
    assert names(one) == names(one, RankingWeights(groups=0))


def test_a_tool_without_a_vector_is_found_by_its_words() -> None:
    pool = pool_of(
        [indexed("embedded"), indexed("fresh"), indexed("other")],
        [[0.3], [np.nan], [0.2]],
        [[0.0], [9.0], [0.0]],
    )
    assert names(pool)[0] == "fresh"


def test_without_any_vector_words_alone_rank() -> None:
    pool = pool_of([indexed("a"), indexed("b")], [[np.nan, np.nan]] * 2, [[1.0, 0.0], [2.0, 3.0]])
    ranked = rank(pool, NO_BOOSTS, PLAIN)
    assert names(pool) == ["b", "a"]
    assert not ranked.contributions["dense"].any()


def test_boosts_are_added_as_they_are() -> None:
    tools = [indexed("a"), indexed("b")]
    pool = pool_of(tools, [[0.5], [0.49]])
    boosts = Boosts(scenario={tools[1].tool_id: 1.0}, usage={tools[1].tool_id: 0.25})
    ranked = rank(pool, boosts, PLAIN)
    assert ranked.contributions["scenario"].tolist() == [0.0, 1.0]
    assert ranked.contributions["usage"].tolist() == [0.0, 0.25]
    assert names(pool, boosts=boosts) == ["b", "a"]


@pytest.mark.parametrize("part", ["dense", "lexical", "clauses", "groups", "links"])
def test_a_weight_of_nothing_takes_its_part_out(part: str) -> None:
    ranked = rank(random_pool(4, 60, 3), NO_BOOSTS, RankingWeights(**{part: 0.0}))
    assert not ranked.contributions[part].any()
