"""What a run keeps of its selection: the tools at their versions, why, and what a scenario tells the planner."""

from uuid import UUID

import orjson

from models.events import EventType
from models.ids import ToolId
from models.planning import Candidate, ScenarioMatch, Selection, SelectionTier
from models.policies import PlanApprovalMode, RunLimits
from models.retrieval import SHORTLIST_CAP
from planvault.engine.effects import MakePlan, effects
from planvault.engine.inputs import Prepared
from planvault.engine.state import RunSettings
from tests.unit.engine.story import Story

INSTRUCTION = "Refunds above {{limit}} EUR go to a person."
SETTINGS = RunSettings(plan_approval_mode=PlanApprovalMode.AUTO, auto_approve_plan=False, limits=RunLimits())


def candidate(number: int, **scores: float) -> Candidate:
    return Candidate(
        tool_id=ToolId(UUID(int=number)),
        version=1,
        name=f"{'tool' * 12}_{number}",
        group="a/group",
        score=round(sum(scores.values()), 6),
        scores=scores,
        dense=(0.5,) * 9,
        lexical=(1.5,) * 9,
    )


def selected(*shortlist: Candidate, instruction: str = "", **more: object) -> Story:
    story = Story()
    story.says("refund order 7")
    selection = Selection.model_validate(
        {"tier": SelectionTier.FULL_RAG, "catalog_size": 150, "shortlist": shortlist, **more}
        | {"instruction": instruction}
    )
    story.done(Prepared(selection, SETTINGS))
    return story


def test_the_scenarios_instruction_reaches_the_planner_and_is_recorded_with_the_tools() -> None:
    story = selected(candidate(1, dense=1.0), instruction=INSTRUCTION)
    assert isinstance(story.effect, MakePlan)
    assert story.effect.instruction == INSTRUCTION
    recorded = next(each for each in story.all(EventType.EFFECT_RECORDED) if each["kind"] == "prepare")
    assert recorded["instruction"] == INSTRUCTION


def test_whoever_takes_the_session_over_tells_the_planner_the_same() -> None:
    story = selected(candidate(1, dense=1.0), instruction=INSTRUCTION)
    story.recovers()
    [again] = [each for each in effects(story.state) if isinstance(each, MakePlan)]
    assert again.instruction == INSTRUCTION


def test_a_selection_from_before_there_were_instructions_is_read_as_having_none() -> None:
    story = selected(candidate(1, dense=1.0))
    recorded = next(each for each in story.all(EventType.EFFECT_RECORDED) if each["kind"] == "prepare")
    assert "instruction" not in recorded
    assert isinstance(story.effect, MakePlan)
    assert story.effect.instruction == ""


def test_history_keeps_the_shortlist_with_the_parts_of_its_scores_that_count() -> None:
    scenario = ScenarioMatch(
        scenario_id=UUID(int=3),
        name="Refunds",
        priority=50,
        similarity=0.8,
        success_rate=0.9,
        contribution=0.4,
        brought_in=True,
        chosen=True,
    )
    story = selected(
        candidate(1, dense=1.0, usage=0.0, scenario=0.4),
        scenarios=(scenario,),
        degraded=("something was done without",),
        candidates=(candidate(1), candidate(2)),
    )
    told = story.one(EventType.TOOL_SELECTION)
    [kept] = told["shortlist"]
    assert kept == {
        "tool": candidate(1).name,
        "group": "a/group",
        "score": 1.4,
        "scores": {"dense": 1.0, "scenario": 0.4},
    }
    assert told["scenarios"][0]["name"] == "Refunds"
    assert told["degraded"] == ["something was done without"]
    assert "candidates" not in told


def test_the_longest_shortlist_is_a_small_event() -> None:
    parts = ("dense", "lexical", "clauses", "groups", "links", "scenario", "usage")
    longest = [candidate(number, **dict.fromkeys(parts, 0.123456)) for number in range(SHORTLIST_CAP)]
    story = selected(*longest, candidates=longest)
    for kind in (EventType.TOOL_SELECTION, EventType.EFFECT_RECORDED):
        assert len(orjson.dumps(story.all(kind)[0])) < 64 * 1024
