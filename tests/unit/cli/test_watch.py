"""Following one prompt: what is shown, what is answered, when it ends."""

from collections.abc import Iterator
from itertools import count, permutations

import httpx
import pytest

from models.base import JsonObject
from planvault.cli.client import SessionEvent
from planvault.cli.problem import ApiProblem
from planvault.cli.watch import SLOT_TRIES, Watcher
from planvault.errors import Unavailable
from tests.unit.cli.scripted_platform import ScriptedPlatform, Told, problem

RUN = {"runId": "r1"}
STARTED = ("started", {**RUN, "planGraph": {"nodes": []}})
DONE = ("done", {**RUN, "status": "completed", "reply": "hello"})
CONFIRM = ("confirm_plan_required", {**RUN, "tools": ["getOrder"], "planHash": "a" * 64})
STUCK = ("run_status", {**RUN, "status": "needs_manual_recovery", "reason": "recovery_required"})
LOST: JsonObject = {"kind": "recovery", "tool": "bookParcel", "nodeId": "n1", "message": "the connection broke"}
SLOTS = ("slots_required", {**RUN, "slots": [{"variable": "amount", "prompt": "How much?", "type": "number"}]})


class Answers:
    """Answers from a list and remembers what was asked."""

    def __init__(
        self,
        approve: bool = True,
        fills: list[JsonObject | None] | None = None,
        recoveries: list[JsonObject | None] | None = None,
    ) -> None:
        self.verdict = approve
        self.fills = iter(fills or [])
        self.recoveries = iter(recoveries or [])
        self.problems: list[list[str]] = []
        self.lost: list[JsonObject] = []
        self.calls: list[JsonObject] = []

    def approve(self, question: JsonObject) -> bool:
        return self.verdict

    def approve_call(self, question: JsonObject) -> bool:
        self.calls.append(question)
        return self.verdict

    def fill(self, slots: list[JsonObject], problems: list[str]) -> JsonObject | None:
        self.problems.append(problems)
        return next(self.fills)

    def recover(self, question: JsonObject, problems: list[str]) -> JsonObject | None:
        self.lost.append(question)
        self.problems.append(problems)
        return next(self.recoveries)


def watcher(
    platform: ScriptedPlatform, answers: Answers | None = None, shown: list[SessionEvent] | None = None
) -> Watcher:
    return Watcher(platform.client(), "s1", answers or Answers(), (shown if shown is not None else []).append)


def test_a_run_is_followed_to_its_reply() -> None:
    platform = ScriptedPlatform([STARTED, ("tool_end", {"tool": "getOrder", "ok": True}), DONE])
    shown: list[SessionEvent] = []

    seen = watcher(platform, shown=shown).prompt("Show order 1")

    assert platform.messages == ["Show order 1"]
    assert (seen.status, seen.reply, seen.succeeded, seen.run_id) == ("completed", "hello", ["getOrder"], "r1")
    assert [event.type for event in shown] == ["started", "tool_end", "done"]
    assert seen.to_plan_s is not None


def test_the_shortlist_and_the_planner_come_from_the_history_once_and_in_their_place() -> None:
    selection = ("tool_selection", {"tier": "direct", "shortlist": [{"tool": "getOrder", "score": 0.5}]})
    summary = ("plan_summary", {"planner": "builtin", "mode": "structured_json"})
    planning = ("run_phase", {**RUN, "phase": "planner_llm"})
    platform = ScriptedPlatform([selection, planning, summary, STARTED, DONE])
    shown: list[SessionEvent] = []
    followed = watcher(platform, shown=shown)

    seen = followed.prompt("Show order 1")

    assert [event.type for event in shown] == ["tool_selection", "run_phase", "plan_summary", "started", "done"]
    assert (seen.tier, seen.shortlist, seen.planner) == ("direct", ["getOrder"], "builtin")


def test_the_shortlist_of_an_earlier_prompt_is_not_told_again() -> None:
    selection = ("tool_selection", {"tier": "direct", "shortlist": [{"tool": "getOrder", "score": 0.5}]})
    platform = ScriptedPlatform([selection, STARTED, DONE])
    followed = watcher(platform)
    followed.prompt("first")
    platform.events += [STARTED, DONE]

    assert followed.prompt("second").shortlist == []


def test_a_plan_is_approved_by_the_hash_that_was_shown() -> None:
    platform = ScriptedPlatform([STARTED, CONFIRM, DONE])

    seen = watcher(platform, Answers(approve=True)).prompt("x")

    assert platform.actions == [{"action": "approve", "runId": "r1", "planHash": "a" * 64}]
    assert (seen.approval_asked, seen.declined) == (True, False)


def test_a_plan_can_be_rejected() -> None:
    platform = ScriptedPlatform([STARTED, CONFIRM, ("done", {**RUN, "status": "cancelled"})])

    seen = watcher(platform, Answers(approve=False)).prompt("x")

    assert platform.actions[0]["action"] == "reject"
    assert (seen.status, seen.declined) == ("cancelled", True)


def test_a_question_that_somebody_else_answered_is_no_error() -> None:
    platform = ScriptedPlatform([STARTED, CONFIRM, DONE])
    platform.verdicts = [problem(409, "CONFLICT")]

    assert watcher(platform, Answers()).prompt("x").status == "completed"


CALL = ("tool_approval_required", {**RUN, "tool": "pay", "nodeId": "n2", "correlationId": "c1", "quorum": 2})


@pytest.mark.parametrize(("verdict", "action"), [(True, "approve_tool"), (False, "reject_tool")])
def test_a_call_that_a_rule_asks_about_is_answered_by_its_correlation(verdict: bool, action: str) -> None:
    platform = ScriptedPlatform([STARTED, CALL, DONE])
    seen = watcher(platform, Answers(approve=verdict)).prompt("x")
    assert platform.actions == [{"action": action, "runId": "r1", "correlationId": "c1"}]
    assert seen.declined is not verdict
    assert seen.status == "completed"


@pytest.mark.parametrize(
    "verdict", [problem(403, "SELF_APPROVAL"), problem(403, "OPERATOR_REQUIRED"), problem(409, "ALREADY_VOTED")]
)
def test_a_vote_that_does_not_count_leaves_the_run_to_others_and_says_so(verdict: httpx.Response) -> None:
    platform = ScriptedPlatform([STARTED, CALL, DONE])
    platform.verdicts = [verdict]
    shown: list[SessionEvent] = []
    assert watcher(platform, Answers(), shown).prompt("x").status == "awaiting_confirmation"
    assert shown[-1].type == "action_refused"


def test_a_vote_that_is_not_enough_leaves_the_run_to_others() -> None:
    platform = ScriptedPlatform([STARTED, CALL, ("approval_vote", {**RUN, "votes": 1, "quorum": 2}), DONE])
    assert watcher(platform, Answers()).prompt("x").status == "awaiting_confirmation"
    platform = ScriptedPlatform([STARTED, CALL, ("approval_vote", {**RUN, "votes": 2, "quorum": 2}), DONE])
    assert watcher(platform, Answers()).prompt("x").status == "completed"


def test_another_refusal_of_an_answer_is_an_error() -> None:
    platform = ScriptedPlatform([STARTED, CONFIRM, DONE])
    platform.verdicts = [problem(403, "FORBIDDEN")]

    with pytest.raises(ApiProblem, match="FORBIDDEN"):
        watcher(platform, Answers()).prompt("x")


def test_values_that_do_not_fit_are_asked_for_again_with_what_was_wrong() -> None:
    platform = ScriptedPlatform([STARTED, SLOTS, DONE])
    platform.verdicts = [problem(422, "VALIDATION_FAILED", "a number is required")]
    answers = Answers(fills=[{"amount": "much"}, {"amount": 12}])

    seen = watcher(platform, answers).prompt("x")

    assert [action.get("values") for action in platform.actions] == [{"amount": "much"}, {"amount": 12}]
    assert answers.problems == [[], ["/values: a number is required"]]
    assert (seen.slots_asked, seen.declined) == (["amount"], False)


def test_a_form_that_is_not_filled_is_cancelled() -> None:
    platform = ScriptedPlatform([STARTED, SLOTS, ("done", {**RUN, "status": "cancelled"})])

    assert watcher(platform, Answers(fills=[None])).prompt("x").declined

    assert platform.actions[-1]["action"] == "cancel_slots"


def test_asking_again_has_an_end() -> None:
    platform = ScriptedPlatform([STARTED, SLOTS, ("done", {**RUN, "status": "cancelled"})])
    platform.verdicts = [problem(422, "VALIDATION_FAILED", "no") for _ in range(SLOT_TRIES)]

    watcher(platform, Answers(fills=[{"amount": "?"}] * SLOT_TRIES)).prompt("x")

    assert [action["action"] for action in platform.actions] == ["fill_slots"] * SLOT_TRIES + ["cancel_slots"]


def test_an_error_is_followed_to_the_runs_done() -> None:
    error = ("error", {**RUN, "msg": "carrier is off", "code": "TOOL_FAILED"})
    platform = ScriptedPlatform([STARTED, error, ("done", {**RUN, "status": "failed", "reply": None})])

    seen = watcher(platform, Answers()).prompt("x")

    assert (seen.status, seen.error, seen.reply) == ("failed", "carrier is off", "")


def stuck(*events: Told) -> ScriptedPlatform:
    platform = ScriptedPlatform([STARTED, STUCK, *events])
    platform.run = {"id": "r1", "status": "needs_manual_recovery", "isOpen": True, "pending": LOST}
    return platform


def test_a_run_that_needs_an_operator_says_what_for_and_can_be_left() -> None:
    platform, answers, shown = stuck(DONE), Answers(recoveries=[None]), list[SessionEvent]()

    seen = watcher(platform, answers, shown).prompt("x")

    assert (seen.status, seen.run_id) == ("needs_manual_recovery", "r1")
    assert answers.lost == [LOST]
    assert [event.data.get("tool") for event in shown if event.type == "recovery"] == ["bookParcel"]
    assert platform.actions == []


@pytest.mark.parametrize(
    "resolution",
    [
        {"resolution": "mark_done", "result": {"id": 7}},
        {"resolution": "retry"},
        {"resolution": "fail", "reason": "not booked"},
    ],
)
def test_a_resolution_goes_to_the_stuck_run_which_is_then_followed_on(resolution: JsonObject) -> None:
    platform = stuck(DONE)

    seen = watcher(platform, Answers(recoveries=[resolution])).prompt("x")

    assert platform.actions == [{"action": "resolve", "runId": "r1", **resolution}]
    assert seen.status == "completed"


def test_a_resolution_that_is_refused_is_asked_for_again_with_the_reason() -> None:
    platform = stuck(DONE)
    platform.verdicts = [problem(409, "CONFLICT")]
    answers = Answers(recoveries=[{"resolution": "retry"}, {"resolution": "fail"}])

    watcher(platform, answers).prompt("x")

    assert answers.problems == [[], ["no"]]
    assert [action["resolution"] for action in platform.actions] == ["retry", "fail"]


def test_a_run_that_somebody_else_has_resolved_by_now_is_followed_on() -> None:
    platform = stuck(DONE)
    platform.run = None

    assert watcher(platform, Answers()).prompt("x").status == "completed"


@pytest.mark.parametrize(
    ("status", "pending", "answered"),
    [
        ("needs_manual_recovery", LOST, "resolve"),
        ("awaiting_slots", {"kind": "slots", "slots": [{"variable": "amount", "type": "number"}]}, "fill_slots"),
        ("awaiting_confirmation", {"kind": "plan", "planHash": "a" * 64, "tools": ["x"]}, "approve"),
    ],
)
def test_a_run_that_was_open_before_is_asked_about_and_followed_to_its_end(
    status: str, pending: JsonObject, answered: str
) -> None:
    platform = ScriptedPlatform([STARTED, DONE])
    platform.run = {"id": "r1", "status": status, "isOpen": True, "pending": pending}
    answers = Answers(fills=[{"amount": 1}], recoveries=[{"resolution": "retry"}])

    seen = Watcher(platform.client(), "s1", answers, lambda _: None, position=1).attend(platform.run)

    assert [(action["action"], action["runId"]) for action in platform.actions] == [(answered, "r1")]
    assert seen.status == "completed"


def test_what_only_the_history_has_is_told_in_the_order_of_the_record() -> None:
    told: list[Told] = [
        ("run_phase", {**RUN, "phase": "selecting_tools"}),
        ("tool_selection", {"shortlist": []}),
        ("run_phase", {**RUN, "phase": "planner_llm"}),
        ("plan_summary", {"planner": "builtin"}),
        ("run_phase", {**RUN, "phase": "validating"}),
    ]
    for order in permutations(told):
        shown: list[SessionEvent] = []
        watcher(ScriptedPlatform([*order, STARTED, DONE]), shown=shown).prompt("x")
        assert [event.type for event in shown] == [*(kind for kind, _ in order), "started", "done"]


def test_the_time_that_a_person_takes_is_not_the_runs() -> None:
    now = [0.0]

    class Slow(Answers):
        def approve(self, question: JsonObject) -> bool:
            now[0] += 1_000.0
            return True

    platform = ScriptedPlatform([STARTED, CONFIRM, DONE])
    seen = Watcher(platform.client(), "s1", Slow(), lambda _: None, clock=lambda: now[0]).prompt("x")

    assert seen.status == "completed"


def test_the_next_prompt_does_not_see_the_run_before() -> None:
    platform = ScriptedPlatform([STARTED, DONE])
    followed = watcher(platform)
    followed.prompt("first")
    platform.events += [("started", {"runId": "r2"}), ("done", {"runId": "r2", "status": "failed"})]

    seen = followed.prompt("second")

    assert (seen.run_id, seen.status) == ("r2", "failed")
    assert platform.told == 4


def test_a_run_that_does_not_end_is_given_up_after_the_deadline() -> None:
    ticks: Iterator[int] = count(step=200)
    platform = ScriptedPlatform([("ping", {}), STARTED, ("ping", {}), DONE])
    impatient = Watcher(platform.client(), "s1", Answers(), lambda _: None, clock=lambda: float(next(ticks)))

    with pytest.raises(Unavailable, match="has not ended after 300 s"):
        impatient.prompt("x")
