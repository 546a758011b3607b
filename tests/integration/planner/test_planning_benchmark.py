"""The planning benchmark on open data: its figures are made of real plans, and they do not quietly fall."""

from pathlib import Path

import pytest

from benchmarks.planning import Query, Scored, called, read_queries, read_tools, score, summary
from models.planning import PlanOutcome
from models.plans import PlannerMode


def test_rates_follow_from_the_calls() -> None:
    outcome = PlanOutcome(plan=None, planner="builtin", mode=PlannerMode.STRUCTURED_JSON)
    query = Query("q", "text", "s", ("a", "b"), ordered=True)
    exact = Scored(query, ("a", "b"), outcome, 1.0).rates()
    longer = Scored(query, ("a", "x", "b"), outcome, 1.0).rates()
    turned = Scored(query, ("b", "a"), outcome, 1.0).rates()
    assert (exact["exact"], exact["path"], exact["set"], exact["first"]) == (True, True, True, True)
    assert (longer["exact"], longer["path"], longer["set"], longer["first"]) == (False, True, False, True)
    assert (turned["exact"], turned["path"], turned["set"], turned["first"]) == (False, True, True, False)


@pytest.mark.parametrize(("name", "least_path", "least_first"), [("restbench", 20.0, 35.0), ("nestful", 15.0, 50.0)])
def test_the_built_in_planner_keeps_its_rate_over_whole_catalogs(
    shared_data: Path, name: str, least_path: float, least_first: float
) -> None:
    folder = shared_data / name
    tools = read_tools(folder)
    ids = {tool.name: tool_id for tool_id, tool in tools.items()}
    scored = []
    for query in read_queries(folder, list(tools)):
        groups = {tools[tool_id].group for tool_id in query.gold}
        shortlist = tuple(tool for tool in tools.values() if tool.group in groups)
        scored.append(score(query, shortlist, ids))
    figures = summary(scored)
    assert figures["valid"] == 100.0
    assert float(str(figures["path"])) >= least_path
    assert float(str(figures["first"])) >= least_first


def test_no_plan_calls_nothing() -> None:
    assert called(None) == []
