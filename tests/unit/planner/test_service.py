"""Which planner plans, in which mode, and what happens to faulty answers."""

from collections import deque
from datetime import UTC, datetime

import pytest

from models.planning import LlmUsage, PlanRequest
from models.plans import PlannerMode
from planvault.errors import LlmFailed
from planvault.planner.service import PlannerService
from planvault.ports import LlmAnswer, LlmRequest, Structure
from tests.unit.planner.tools import GET_ORDER

NOW = datetime(2026, 5, 1, tzinfo=UTC)
GOOD = "<script>\norder = get_order(order_id=7)\nreply(order)\n</script>"
BAD = "<script>\norder = get_ordr(order_id=7)\nreply(ordr)\n</script>"


class Twin:
    """Answers from a queue; an exception in it is raised."""

    def __init__(self, *answers: str | Exception | LlmAnswer, structure: Structure = Structure.NONE) -> None:
        self.answers = deque(answers)
        self.requests: list[LlmRequest] = []
        self._structure = structure

    async def structure(self, model: str | None = None) -> Structure:
        return self._structure

    async def complete(self, request: LlmRequest) -> LlmAnswer:
        self.requests.append(request)
        answer = self.answers.popleft()
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, LlmAnswer):
            return answer
        return LlmAnswer(answer, "twin", LlmUsage(prompt_tokens=2, completion_tokens=1, requests=1))


def request(model: str | None = None, mode: PlannerMode | None = None) -> PlanRequest:
    return PlanRequest(prompt="Show order 7", tools=(GET_ORDER,), run_started_at=NOW, model=model, mode=mode)


async def test_without_a_model_the_built_in_planner_plans() -> None:
    outcome = await PlannerService(None, repairs=2).plan(request())
    assert outcome.planner == "builtin"
    assert outcome.plan is not None


async def test_a_model_that_is_asked_for_but_not_there_is_an_error_and_no_other_planner() -> None:
    with pytest.raises(LlmFailed, match="mistral/large"):
        await PlannerService(None, repairs=2).plan(request(model="mistral/large"))


async def test_the_built_in_planner_can_be_asked_for_by_name() -> None:
    twin = Twin()
    outcome = await PlannerService(twin, repairs=2).plan(request(model="builtin"))
    assert outcome.planner == "builtin"
    assert twin.requests == []


async def test_a_failing_model_is_an_error_and_no_other_planner() -> None:
    with pytest.raises(LlmFailed, match="away"):
        await PlannerService(Twin(LlmFailed("away")), repairs=2).plan(request())


@pytest.mark.parametrize(
    ("structure", "mode"),
    [
        (Structure.JSON_SCHEMA, PlannerMode.STRUCTURED_JSON),
        (Structure.JSON_OBJECT, PlannerMode.STRUCTURED_JSON),
        (Structure.NONE, PlannerMode.PYTHON_DSL),
    ],
)
async def test_the_mode_follows_from_what_the_model_can_be_held_to(structure: Structure, mode: PlannerMode) -> None:
    twin = Twin("nothing", structure=structure)
    outcome = await PlannerService(twin, repairs=0).plan(request())
    assert outcome.mode is mode
    assert (twin.requests[0].schema is not None) == (mode is PlannerMode.STRUCTURED_JSON)


async def test_a_mode_that_is_asked_for_wins() -> None:
    twin = Twin(GOOD, structure=Structure.JSON_SCHEMA)
    outcome = await PlannerService(twin, repairs=0).plan(request(mode=PlannerMode.PYTHON_DSL))
    assert outcome.plan is not None
    assert twin.requests[0].schema is None


async def test_all_problems_go_back_and_the_mended_plan_is_taken() -> None:
    twin = Twin(BAD, GOOD)
    outcome = await PlannerService(twin, repairs=2).plan(request())
    assert outcome.plan is not None
    assert (outcome.attempts, outcome.prompt_version, outcome.planner) == (2, "python_dsl.v1", "twin")
    assert outcome.usage == LlmUsage(prompt_tokens=4, completion_tokens=2, requests=2)
    roles = [message.role for message in twin.requests[1].messages]
    assert roles == ["system", "user", "assistant", "user"]
    told = twin.requests[1].messages[-1].content
    assert "line 2" in told
    assert "UNKNOWN_TOOL" in told
    assert "UNDEFINED_VARIABLE" in told
    assert "get_order" in told


async def test_repairs_are_bounded_and_the_last_problems_are_reported() -> None:
    twin = Twin(BAD, BAD, BAD)
    outcome = await PlannerService(twin, repairs=2).plan(request())
    assert outcome.plan is None
    assert outcome.attempts == len(twin.requests) == 3
    assert {problem.code for problem in outcome.problems} >= {"UNKNOWN_TOOL", "UNDEFINED_VARIABLE"}


async def test_only_the_last_faulty_answer_goes_back() -> None:
    twin = Twin("<script>first_mistake()</script>", BAD, GOOD)
    await PlannerService(twin, repairs=2).plan(request())
    assert "first_mistake" not in "".join(message.content for message in twin.requests[2].messages)


async def test_an_answer_that_was_cut_off_is_named_as_such() -> None:
    twin = Twin(LlmAnswer("<script>\norder = get_ord", "twin", LlmUsage(), truncated=True))
    outcome = await PlannerService(twin, repairs=0).plan(request())
    assert outcome.plan is None
    assert outcome.problems[0].code == "ANSWER_CUT_OFF"


async def test_half_a_surrogate_pair_in_an_answer_is_sent_back_as_text_that_can_be_stored() -> None:
    twin = Twin("<script>reply('\ud83d')</script>", "\ud83d")
    outcome = await PlannerService(twin, repairs=1).plan(request())
    assert [problem.code for problem in outcome.problems] == ["NOT_UNICODE"]
    assert "reply('?')" in twin.requests[1].messages[2].content
    assert outcome.source == "?"
    assert outcome.model_dump_json()
