"""A prompt becomes a plan, and the plan runs."""

import pytest

from models.commands import CommandKind
from models.events import EventType, Visibility
from models.planning import PlanProblem
from models.plans import Lit, Slot, SlotType
from models.policies import PlanApprovalMode, RunLimits
from models.runs import RunStatus
from models.tools import ApprovalPolicy
from planvault.engine.effects import MakePlan, Prepare
from tests.unit.engine.plans import FAILING, LOOP, ONE_CALL, TWO_CALLS, plan, reply, var
from tests.unit.engine.story import Story, facts


def test_a_message_first_selects_tools_then_plans() -> None:
    story = Story()
    story.says("who is 7?")
    assert isinstance(story.effect, Prepare)
    story.prepared()
    assert isinstance(story.effect, MakePlan)
    assert [pin.name for pin in story.effect.pins] == ["get"]
    assert story.one(EventType.TOOL_SELECTION)["shortlist"][0]["tool"] == "get"


def test_every_effect_has_its_intent_in_the_same_decision() -> None:
    story = Story()
    story.begin(ONE_CALL, facts("get"))
    story.answers({"name": "Ada"})
    intents = {payload["effectId"] for payload in story.all(EventType.EFFECT_INTENDED)}
    recorded = {payload["effectId"] for payload in story.all(EventType.EFFECT_RECORDED)}
    assert intents == recorded
    assert len(intents) == 3


def test_the_result_of_a_step_and_the_intent_of_the_next_travel_together() -> None:
    story = Story()
    story.begin(TWO_CALLS, facts("get"), facts("send"))
    decision = story.answers({"email": "ada@example.com"})
    types = [event.type for event in decision.events]
    assert types.index(EventType.EFFECT_RECORDED) < types.index(EventType.EFFECT_INTENDED)
    assert story.call.args == {"to": "ada@example.com"}


def test_a_run_ends_with_reply_status_and_done_in_this_order() -> None:
    story = Story()
    story.begin(ONE_CALL, facts("get"))
    story.answers({"name": "Ada"})
    assert story.types[-4:] == ["llm_reply", "run_status", "done", "snapshot"]
    assert story.one(EventType.LLM_REPLY)["content"] == "Ada"
    assert story.one(EventType.DONE)["status"] == "completed"
    assert story.state.run is None


def test_seq_is_gapless() -> None:
    story = Story()
    story.begin(ONE_CALL, facts("get"))
    story.answers({"name": "Ada"})
    assert [event.seq for event in story.events] == list(range(1, len(story.events) + 1))


def test_the_record_alone_rebuilds_the_state_at_every_point() -> None:
    story = Story()
    story.begin(LOOP, facts("get"), facts("send"))
    story.answers([{"id": 1, "total": 5}, {"id": 2, "total": 50}, {"id": 3, "total": 60}])
    assert story.replayed() == story.state
    story.answers(None)
    assert story.replayed() == story.state


def test_a_loop_calls_once_a_matching_turn_with_keys_of_its_own() -> None:
    story = Story()
    story.begin(LOOP, facts("get"), facts("send"))
    story.answers([{"id": 1, "total": 5}, {"id": 2, "total": 50}, {"id": 3, "total": 60}])
    first = story.call
    story.answers(None)
    second = story.call
    story.answers(None)
    assert (first.args["id"], second.args["id"]) == (2, 3)
    assert first.idempotency_key != second.idempotency_key
    assert [branch["branch"] for branch in story.all(EventType.BRANCH_TAKEN)] == ["else", "then", "then"]
    assert story.one(EventType.DONE)["reply"] == '["done"]'


def test_a_second_message_waits_for_the_first_run() -> None:
    story = Story()
    story.begin(ONE_CALL, facts("get"))
    story.says("and then?")
    assert len(story.all(EventType.RUN_OPENED)) == 1
    story.answers({"name": "Ada"})
    assert len(story.all(EventType.RUN_OPENED)) == 2
    assert isinstance(story.effect, Prepare)
    assert story.effect.prompt == "and then?"


def test_a_plan_that_fails_by_its_own_word_ends_failed_with_its_message() -> None:
    story = Story()
    story.begin(FAILING)
    assert story.one(EventType.ERROR) == {
        "msg": "no such customer",
        "code": "PLAN_FAILED",
        "runId": story.one(EventType.DONE)["runId"],
    }
    assert story.statuses[-1] is RunStatus.FAILED


def test_no_valid_plan_reports_every_problem() -> None:
    story = Story()
    story.says("?")
    story.prepared()
    problems = (PlanProblem(code="A", message="first"), PlanProblem(code="B", message="second"))
    story.planned(None, problems=problems)
    error = story.one(EventType.ERROR)
    assert error["code"] == "PLAN_INVALID"
    assert [problem["message"] for problem in error["problems"]] == ["first", "second"]


def test_a_missing_field_ends_the_run_with_the_node_named() -> None:
    story = Story()
    story.begin(ONE_CALL, facts("get"))
    story.answers({"title": "Dr"})
    assert "n1" in story.one(EventType.ERROR)["msg"] or "n9" in story.one(EventType.ERROR)["msg"]


@pytest.mark.parametrize(("limit", "code"), [({"max_tool_calls": 1}, "LIMIT_TOOL_CALLS")])
def test_a_limit_ends_the_run_before_the_call(limit: dict[str, int], code: str) -> None:
    story = Story()
    story.begin(TWO_CALLS, facts("get"), facts("send"), limits=RunLimits.model_validate(limit))
    story.answers({"email": "x"})
    assert story.one(EventType.ERROR)["code"] == code
    assert len(story.all(EventType.TOOL_START)) == 1


def test_the_wall_clock_limit_counts_from_the_run_s_start() -> None:
    story = Story()
    story.begin(TWO_CALLS, facts("get"), facts("send"), limits=RunLimits(max_wall_clock_s=60))
    story.later(61)
    story.answers({"email": "x"})
    assert story.one(EventType.ERROR)["code"] == "LIMIT_WALL_CLOCK"


# ── approval ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_waiting_for_people_is_no_part_of_the_wall_clock_limit() -> None:
    story = Story()
    story.begin(ONE_CALL, facts("get"), plan_approval_mode=PlanApprovalMode.REQUIRE, limits=RunLimits())
    story.later(2 * RunLimits().max_wall_clock_s)
    story.acts(CommandKind.APPROVE)
    assert story.call.attempt == 1
    assert story.replayed() == story.state


def test_a_plan_waits_for_approval_where_the_project_requires_it() -> None:
    story = Story()
    story.begin(ONE_CALL, facts("get"), plan_approval_mode=PlanApprovalMode.REQUIRE)
    asked = story.one(EventType.CONFIRM_PLAN_REQUIRED)
    assert asked["tools"] == ["get"]
    assert asked["toolDescriptions"] == {"get": "Does get"}
    assert story.statuses[-1] is RunStatus.AWAITING_CONFIRMATION
    story.acts(CommandKind.APPROVE, plan_hash=asked["planHash"], actor="ann")
    assert story.one(EventType.CONFIRM_PLAN_RESULT)["approvalSource"] == "human"
    assert story.call.attempt == 1


def test_an_approval_of_another_plan_is_refused() -> None:
    story = Story()
    story.begin(ONE_CALL, facts("get"), plan_approval_mode=PlanApprovalMode.REQUIRE)
    story.acts(CommandKind.APPROVE, plan_hash="0" * 64)
    assert "another plan" in story.one(EventType.ACTION_REFUSED)["why"]
    assert story.statuses[-1] is RunStatus.AWAITING_CONFIRMATION


def test_the_hash_changes_with_a_tool_s_version() -> None:
    def shown(version: int) -> str:
        story = Story()
        tool = facts("get")
        pinned = tool.model_copy(update={"pin": tool.pin.model_copy(update={"version": version})})
        story.begin(ONE_CALL, pinned, plan_approval_mode=PlanApprovalMode.REQUIRE)
        return str(story.one(EventType.CONFIRM_PLAN_REQUIRED)["planHash"])

    assert shown(1) == shown(1)
    assert shown(1) != shown(2)


def test_the_hash_changes_with_what_people_filled_in() -> None:
    """An approval of `pay 5` that comes late must not approve `pay 5000`."""
    body = plan(*ONE_CALL.body, slots=(Slot(variable="n", prompt="?", type=SlotType.INTEGER),))
    hashes = []
    for filled in (5, 5_000, 5):
        story = Story()
        story.begin(body, facts("get"), plan_approval_mode=PlanApprovalMode.REQUIRE)
        story.acts(CommandKind.FILL_SLOTS, values={"n": filled})
        hashes.append(story.one(EventType.CONFIRM_PLAN_REQUIRED)["planHash"])
        assert story.replayed() == story.state
        story.acts(CommandKind.APPROVE, plan_hash=hashes[0])
        assert (len(story.all(EventType.TOOL_START)) == 1) is (filled == 5)
    assert hashes[0] == hashes[2] != hashes[1]


def test_a_rejected_plan_never_calls() -> None:
    story = Story()
    story.begin(ONE_CALL, facts("get"), plan_approval_mode=PlanApprovalMode.REQUIRE)
    story.acts(CommandKind.REJECT, reason="not today")
    assert story.one(EventType.CONFIRM_PLAN_RESULT)["approved"] is False
    assert story.one(EventType.DONE)["status"] == "cancelled"
    assert story.all(EventType.TOOL_START) == []


def test_a_tool_with_always_asks_even_in_an_automatic_project() -> None:
    story = Story()
    story.begin(ONE_CALL, facts("get", approval=ApprovalPolicy.ALWAYS))
    assert story.one(EventType.CONFIRM_PLAN_REQUIRED)["blockedBy"] == ["get"]


def test_a_plan_without_calls_needs_nobody() -> None:
    story = Story()
    story.begin(plan(reply(Lit(value="Hello!"))), plan_approval_mode=PlanApprovalMode.REQUIRE)
    assert story.one(EventType.DONE)["reply"] == "Hello!"
    assert story.all(EventType.CONFIRM_PLAN_RESULT) == []


# ── slots ────────────────────────────────────────────────────────────────────────────────────────────────────────────

_SLOTTED = plan(reply(var("count")), slots=(Slot(variable="count", prompt="How many?", type=SlotType.INTEGER),))


def test_slots_are_asked_for_before_approval_and_read_by_type() -> None:
    story = Story()
    story.begin(_SLOTTED)
    assert story.one(EventType.SLOTS_REQUIRED)["slots"] == [
        {"variable": "count", "prompt": "How many?", "options": [], "type": "integer"}
    ]
    story.acts(CommandKind.FILL_SLOTS, values={"count": " 3 "})
    assert story.one(EventType.DONE)["reply"] == "3"


def test_a_slot_value_of_the_wrong_type_is_refused_and_asked_again() -> None:
    story = Story()
    story.begin(_SLOTTED)
    story.acts(CommandKind.FILL_SLOTS, values={"count": "three"})
    assert "/values/count" in story.one(EventType.ACTION_REFUSED)["why"]
    story.acts(CommandKind.FILL_SLOTS, values={"count": 3})
    assert story.statuses[-1] is RunStatus.COMPLETED


def test_cancelled_slots_end_the_run() -> None:
    story = Story()
    story.begin(_SLOTTED)
    story.acts(CommandKind.CANCEL_SLOTS)
    assert story.one(EventType.SLOTS_CANCELLED)
    assert story.one(EventType.DONE)["status"] == "cancelled"


# ── cancel, close, stray answers ─────────────────────────────────────────────────────────────────────────────────────


def test_cancel_during_a_call_waits_for_its_result() -> None:
    story = Story()
    story.begin(TWO_CALLS, facts("get"), facts("send"))
    story.acts(CommandKind.CANCEL)
    assert story.state.run is not None
    story.answers({"email": "x"})
    assert story.one(EventType.TOOL_END)["ok"] is True
    assert story.one(EventType.DONE)["status"] == "cancelled"
    assert len(story.all(EventType.TOOL_START)) == 1


def test_cancel_while_planning_ends_at_once_and_the_late_plan_is_ignored() -> None:
    story = Story()
    story.says("do it")
    story.prepared()
    effect = story.effect
    story.acts(CommandKind.CANCEL)
    assert story.one(EventType.DONE)["status"] == "cancelled"
    from planvault.engine.inputs import Broke, EffectDone

    late = story.tell(EffectDone(effect.effect_id, Broke("X", "late"), story.now, story.fresh()))  # type: ignore[arg-type]
    assert late.events == ()


@pytest.mark.parametrize("kind", [CommandKind.APPROVE, CommandKind.FILL_SLOTS, CommandKind.CANCEL, CommandKind.RESOLVE])
def test_an_answer_that_nobody_asked_for_is_recorded_and_changes_nothing(kind: CommandKind) -> None:
    story = Story()
    decision = story.acts(kind)
    assert story.one(EventType.ACTION_REFUSED)["why"] == "no run is active"
    assert len(decision.consumed) == 1


def test_a_closed_session_takes_no_messages() -> None:
    story = Story()
    story.acts(CommandKind.CLOSE)
    story.says("hello?")
    assert story.one(EventType.COMMAND_REFUSED)["why"] == "the session is closed"
    assert story.state.run is None


def test_prompts_queued_in_a_session_that_closes_end_cancelled_one_by_one() -> None:
    story = Story()
    story.begin(TWO_CALLS, facts("get"), facts("send"))
    story.says("second")
    story.says("third")
    story.acts(CommandKind.CLOSE)
    assert story.all(EventType.DONE) == []  # the first one's call is on the wire
    story.answers({"email": "x"})
    ends = story.all(EventType.DONE)
    assert [end["status"] for end in ends] == ["cancelled"] * 3
    assert len({end["runId"] for end in ends}) == 3
    assert story.state.queue == ()
    assert len(story.all(EventType.TOOL_START)) == 1
    assert story.replayed() == story.state


def test_people_see_no_engine_events() -> None:
    story = Story()
    story.begin(ONE_CALL, facts("get"))
    story.answers({"name": "Ada"})
    engine = {event.type.value for event in story.events if event.visibility is Visibility.ENGINE}
    assert engine == {"run_opened", "effect_intended", "effect_recorded", "snapshot"}
