"""What an ended run says about the choice of its tools."""

from datetime import UTC, datetime

import pytest

from models.base import JsonObject, JsonValue
from models.events import EventType
from models.runs import RunStatus
from planvault.storage.history import HistoryEvent
from retrieval.scenarios.lessons import Lesson, Outcome, lesson_of, prompt_of

PROMPT = "show my orders"


def event(kind: EventType, payload: JsonObject) -> HistoryEvent:
    return HistoryEvent(1, kind, None, datetime(2027, 3, 1, tzinfo=UTC), payload)


def started(*tools: str) -> HistoryEvent:
    nodes: list[JsonValue] = [{"id": f"n{n}", "kind": "call", "tool": tool} for n, tool in enumerate(tools)]
    return event(EventType.STARTED, {"planGraph": {"nodes": [*nodes, {"id": "r", "kind": "reply"}]}})


def ended(tool: str, *, ok: bool = True, code: str = "") -> HistoryEvent:
    return event(EventType.TOOL_END, {"tool": tool, "ok": ok, **({"code": code} if code else {})})


def failed(code: str) -> HistoryEvent:
    return event(EventType.ERROR, {"code": code, "msg": "…"})


def lesson(status: RunStatus, *events: HistoryEvent) -> Lesson:
    found = lesson_of(status, PROMPT, events)
    assert found is not None
    return found


def test_a_completed_run_speaks_for_the_tools_of_its_plan() -> None:
    found = lesson(RunStatus.COMPLETED, started("a", "b"), ended("a"))
    assert found.outcome is Outcome.SUCCESS
    assert [set(found.tools), set(found.used)] == [{"a", "b"}, {"a"}]


def test_a_tool_that_was_called_in_vain_is_no_part_of_a_success() -> None:
    found = lesson(RunStatus.COMPLETED, started("a", "b"), ended("a"), ended("b", ok=False, code="HTTP_500"))
    assert [set(found.tools), set(found.used)] == [{"a"}, {"a"}]
    retried = lesson(RunStatus.COMPLETED, started("a"), ended("a", ok=False, code="TIMEOUT"), ended("a"))
    assert retried.tools == {"a"}
    nothing = lesson(RunStatus.COMPLETED, started("a"), ended("a", ok=False, code="HTTP_404"))
    assert nothing.outcome is Outcome.NOTHING


@pytest.mark.parametrize("code", ["HTTP_400", "HTTP_404", "HTTP_422", "INVALID_ARGUMENTS"])
def test_a_refusal_of_the_call_itself_speaks_against_its_tool(code: str) -> None:
    found = lesson(
        RunStatus.FAILED, started("a", "b"), ended("a"), ended("b", ok=False, code=code), failed("TOOL_FAILED")
    )
    assert found.outcome is Outcome.FAILURE
    assert found.blamed == {"b"}


@pytest.mark.parametrize("code", ["HTTP_500", "HTTP_401", "HTTP_403", "HTTP_429", "TIMEOUT", "CONNECT_FAILED",
                                  "SECRET_MISSING", "EGRESS_DENIED", "INTEGRATION_DISABLED"])  # fmt: skip
def test_trouble_of_services_and_credentials_teaches_nothing(code: str) -> None:
    found = lesson(RunStatus.FAILED, started("a"), ended("a", ok=False, code=code), failed("TOOL_FAILED"))
    assert (found.outcome, found.blamed) == (Outcome.NOTHING, frozenset())


@pytest.mark.parametrize("code", ["LLM_FAILED", "LIMIT_WALL_CLOCK", "POLICY_DENIED", "INTERNAL", "PLAN_FAILED"])
def test_trouble_of_the_platform_teaches_nothing(code: str) -> None:
    ends = (ended("a", ok=False, code="HTTP_404"), failed(code))
    assert lesson(RunStatus.FAILED, started("a"), *ends).outcome is Outcome.NOTHING


def test_a_rejected_plan_speaks_against_all_of_its_tools_and_a_rejected_call_against_one() -> None:
    no: JsonObject = {"approved": False, "actor": "bob"}
    plan = lesson(RunStatus.CANCELLED, started("a", "b"), event(EventType.CONFIRM_PLAN_RESULT, no))
    call = lesson(
        RunStatus.CANCELLED, started("a", "b"), ended("a"), event(EventType.TOOL_APPROVAL_RESULT, {**no, "tool": "b"})
    )
    assert [plan.outcome, call.outcome] == [Outcome.REJECTION, Outcome.REJECTION]
    assert [set(plan.blamed), set(call.blamed)] == [{"a", "b"}, {"b"}]


@pytest.mark.parametrize("status", [RunStatus.CANCELLED, RunStatus.INTERRUPTED])
def test_a_run_that_was_stopped_or_left_alone_teaches_nothing(status: RunStatus) -> None:
    assert lesson(status, started("a")).outcome is Outcome.NOTHING


def test_without_a_plan_with_tools_there_is_no_lesson() -> None:
    assert lesson_of(RunStatus.COMPLETED, PROMPT, [started()]) is None
    assert lesson_of(RunStatus.FAILED, PROMPT, [failed("PLAN_INVALID")]) is None
    assert lesson_of(RunStatus.COMPLETED, None, [started("a")]) is None


def test_the_last_plan_counts() -> None:
    assert lesson(RunStatus.COMPLETED, started("a"), started("b"), ended("b")).tools == {"b"}


def test_hostile_payloads_are_read_as_nothing() -> None:
    odd: list[JsonObject] = [{}, {"planGraph": None}, {"planGraph": {"nodes": 3}}, {"planGraph": {"nodes": [7, None]}}]
    for payload in odd:
        assert lesson_of(RunStatus.COMPLETED, PROMPT, [event(EventType.STARTED, payload)]) is None


def test_a_prompt_names_its_run_and_its_message() -> None:
    said = prompt_of(event(EventType.PROMPT, {"runId": "r", "messageId": "m", "content": "hi"}))
    assert said == ("r", "m", "hi")
    assert prompt_of(started("a")) is None
