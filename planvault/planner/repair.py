"""The bounded conversation with a model: its plan is compiled, and goes back with every problem until it stands."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.base import JsonObject
from models.planning import LlmUsage, PlanOutcome, PlanProblem, PlanRequest
from models.plans import PlannerMode
from planvault.plan.compile import compile_plan
from planvault.plan.schema import wire_schema
from planvault.planner.context import functions_text, request_text
from planvault.planner.prompts import CURRENT, REPAIR, load_prompt
from planvault.ports import Llm, LlmAnswer, LlmMessage, LlmRequest

_LONGEST_ANSWER = 24_000  # characters of a faulty answer that go back


@dataclass(frozen=True, slots=True)
class Conversation:
    """What stays the same from attempt to attempt."""

    request: PlanRequest
    mode: PlannerMode
    opening: tuple[LlmMessage, ...]
    schema: JsonObject | None

    @classmethod
    def begin(cls, request: PlanRequest, mode: PlannerMode) -> "Conversation":
        system = load_prompt(CURRENT[mode]).fill(functions=functions_text())
        opening = (LlmMessage("system", system), LlmMessage("user", request_text(request)))
        return cls(request, mode, opening, wire_schema() if mode is PlannerMode.STRUCTURED_JSON else None)


async def plan_with_repairs(llm: Llm, request: PlanRequest, mode: PlannerMode, repairs: int) -> PlanOutcome:
    """Ask at most 1 + `repairs` times. The outcome has a plan, or the problems of the last answer. Raises LlmFailed."""
    talk = Conversation.begin(request, mode)
    usage = LlmUsage()
    messages = talk.opening
    for attempt in range(1, repairs + 2):
        answer = await llm.complete(LlmRequest(messages, schema=talk.schema, model=request.model))
        usage = _sum(usage, answer.usage)
        compiled = compile_plan(answer.text, mode, request.tools, secret_names=request.secret_names)
        problems = (*_cut_off(answer), *compiled.problems) if compiled.plan is None else ()
        outcome = PlanOutcome(
            plan=compiled.plan,
            problems=problems,
            planner=answer.model,
            mode=mode,
            prompt_version=CURRENT[mode],
            attempts=attempt,
            source=_storable(answer.text),
            usage=usage,
        )
        if compiled.plan is not None:
            return outcome
        messages = (*talk.opening, *_sent_back(answer, problems))
    return outcome


def _sent_back(answer: LlmAnswer, problems: Sequence[PlanProblem]) -> tuple[LlmMessage, LlmMessage]:
    """Only the last answer goes back: older ones would only repeat mistakes that were already mended."""
    text = _storable(answer.text[:_LONGEST_ANSWER]) + ("\n…" if len(answer.text) > _LONGEST_ANSWER else "")
    listed = "\n".join(f"- {problem_text(problem)}" for problem in problems)
    return LlmMessage("assistant", text or "(empty)"), LlmMessage("user", load_prompt(REPAIR).fill(problems=listed))


def _storable(text: str) -> str:
    """`text` as it can be stored and sent: half a surrogate pair, which no UTF-8 has, becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")


def problem_text(problem: PlanProblem) -> str:
    """`line 3, column 7: UNKNOWN_TOOL: There is no tool 'x'. Did you mean 'y'?`"""
    place = f"line {problem.line}, column {problem.column}: " if problem.line is not None else ""
    return f"{place}{problem.code}: {problem.message} {problem.hint}".rstrip()


def _cut_off(answer: LlmAnswer) -> tuple[PlanProblem, ...]:
    if not answer.truncated:
        return ()
    return (PlanProblem(code="ANSWER_CUT_OFF", message="The answer was cut off.", hint="Make the plan shorter."),)


def _sum(left: LlmUsage, right: LlmUsage) -> LlmUsage:
    return LlmUsage(
        prompt_tokens=left.prompt_tokens + right.prompt_tokens,
        completion_tokens=left.completion_tokens + right.completion_tokens,
        requests=left.requests + right.requests,
    )
