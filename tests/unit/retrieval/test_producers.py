"""Tools that give what others ask for."""

from uuid import UUID

import numpy as np
import pytest

from models.ids import IntegrationId
from models.retrieval import RankingWeights
from retrieval.producers import CONSUMERS, FEW, lacking, pull
from retrieval.ranking import rank
from retrieval.scenarios.boosts import NO_BOOSTS
from tests.unit.retrieval.pool_factory import indexed, pool_of

CREDITS = indexed("credits", requires=("person",))
SEARCH = indexed("search", produces=("person",))
OTHER = indexed("other")
ELSEWHERE = IntegrationId(UUID(int=2))


def test_the_producer_of_a_needed_input_is_pulled_up() -> None:
    pool = pool_of([CREDITS, OTHER, SEARCH], [[0.6], [0.3], [0.1]])
    order = rank(pool, NO_BOOSTS, RankingWeights()).order
    assert [pool.tools[row].name for row in order] == ["credits", "search", "other"]


def test_it_is_never_pulled_past_the_tool_that_needs_it() -> None:
    score = np.array([3.0, 2.0, -1.0])
    pulled = score + pull([CREDITS, OTHER, SEARCH], score)
    assert pulled.tolist() == [3.0, 2.0, 3.0]


def test_a_tool_above_those_that_need_it_stays_where_it_is() -> None:
    assert not pull([CREDITS, SEARCH], np.array([1.0, 2.0])).any()


def test_another_integration_gives_nothing() -> None:
    assert not pull([CREDITS, indexed("s", integration=ELSEWHERE, produces=("person",))], np.array([2.0, 1.0])).any()


def test_many_producers_are_pulled_less_each() -> None:
    many = [indexed(f"search{row}", produces=("person",)) for row in range(16)]
    assert pull([CREDITS, *many], np.array([2.0, *[0.0] * 16]))[1:].tolist() == pytest.approx([1.0] * 16)


def test_tools_below_a_usual_shortlist_ask_for_nothing() -> None:
    tools = [*(indexed(f"better{row}") for row in range(CONSUMERS)), CREDITS, SEARCH]
    assert not pull(tools, np.array([*[5.0] * CONSUMERS, 2.0, 0.0])).any()


def test_what_hardly_any_candidate_gives_is_asked_of_the_index() -> None:
    pool = pool_of([CREDITS, OTHER], [[0.6], [0.3]])
    found = lacking(pool, rank(pool, NO_BOOSTS, RankingWeights()))
    assert found is not None
    assert (found.integrations, found.entities) == ((CREDITS.integration_id,), ("person",))


def test_candidates_that_suffice_need_no_second_look() -> None:
    pool = pool_of([CREDITS, *(indexed(f"s{row}", produces=("person",)) for row in range(FEW))], [[0.5]] * (FEW + 1))
    assert lacking(pool, rank(pool, NO_BOOSTS, RankingWeights())) is None
