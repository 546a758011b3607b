"""The built-in planner: prompt and shortlist in, validated plan out. Pure: the same request gives the same plan."""

from collections.abc import Sequence
from dataclasses import replace

from models.planning import PlanOutcome, PlanProblem, PlanRequest
from models.plans import Lit, Plan, PlannerMode, Reply
from models.tools import NativeBinding, Tool
from planvault.plan.render import render_dsl, render_json
from planvault.plan.validate import validate
from planvault.planner.builtin.chains import Search
from planvault.planner.builtin.clauses import Clause, clauses
from planvault.planner.builtin.compose import Ask, Composer
from planvault.planner.builtin.known import known_values
from planvault.planner.builtin.patterns import Kind
from planvault.planner.builtin.scoring import is_about, is_weak
from planvault.planner.builtin.steps import Chain, Step, Wish
from planvault.planner.builtin.toolview import views
from planvault.planner.builtin.values import Mention, mentions
from planvault.planner.builtin.verbs import Intent, writes

NAME = "builtin"
_SURE = 0.5  # share of the left-over words that a further target must answer to
_MORE = 2  # further targets in one clause: “the clips and the details”
_UNSAID_SHARE = 0.3  # of a clause's words that must be left over to look for a further target
_NAMED_TOOLS = 5
# Above these it refuses: the search grows with clauses and values, and a long text is not a simple order.
_MOST_CHARACTERS, _MOST_CLAUSES, _MOST_VALUES = 4_000, 12, 100
_TELLING = frozenset({Kind.NAME, Kind.QUOTED, Kind.CODE, Kind.EMAIL, Kind.UUID, Kind.DATE, Kind.PHRASE})

_TOO_MUCH = "This is more than the built-in planner takes at once. Ask for less, or configure a language model."
_CONDITIONAL = (
    "This asks for a change under a condition, which the built-in planner cannot decide. "
    "Ask without the condition, or configure a language model."
)


def plan_without_model(request: PlanRequest) -> PlanOutcome:
    """A plan for single calls and simple chains; one reply node where no tool answers to the prompt's words."""
    plan = _plan(request)
    problems = tuple(validate(plan, request.tools, request.secret_names))
    if problems:
        # A tool that cannot be called as its schema reads; a person can say more, a model can do better.
        return _outcome(request, None, problems)
    return _outcome(request, plan, ())


def _plan(request: PlanRequest) -> Plan:
    # Waits and schedules are no answer to anybody's words; a model knows when a plan needs them.
    request = request.model_copy(update={"tools": tuple(tool for tool in request.tools if not _is_native(tool))})
    text = request.prompt
    if len(text) > _MOST_CHARACTERS:
        return _only_reply(_TOO_MUCH)
    known = known_values(request.tools, request.context_vars, request.secret_names)
    search = Search(views(request.tools), known)
    found = mentions(text, request.run_started_at, search.vocabulary.words)
    parts = clauses(text, found, search.vocabulary)
    if len(parts) > _MOST_CLAUSES or len(found) > _MOST_VALUES:
        return _only_reply(_TOO_MUCH)
    asks, left, unsure = _asks(search, parts, found)
    if not asks:
        return _only_reply(_cannot(request.tools, unsure))
    if any(part.conditional for part in parts) and any(
        writes(step.view.tool) for ask in asks for step in ask.target.steps()
    ):
        return _only_reply(_CONDITIONAL)
    return Composer().plan(
        asks, [*_unused(asks, found), *(f"Not done, as no tool matches: {part.text}" for part in left)]
    )


def _unused(asks: Sequence[Ask], found: tuple[Mention, ...]) -> list[str]:
    """A value that found no place is said: the answer is wider than the question."""
    used = frozenset[Mention]().union(*(ask.target.all_used() for ask in asks))
    parts = [mention for ask in asks for mention in ask.clause.mentions]
    spare = [mention for mention in found if mention in parts and mention not in used and mention.kind in _TELLING]
    return [f"Not used: {', '.join(str(mention.value) for mention in spare)}"] if spare else []


def _asks(
    search: Search, parts: Sequence[Clause], found: tuple[Mention, ...]
) -> tuple[list[Ask], list[Clause], list[Tool]]:
    """What can be done, which orders cannot, and the changes that would need clearer words."""
    asks: list[Ask] = []
    left: list[Clause] = []
    unsure: list[Tool] = []
    for clause in parts:
        if clause.negated or not search.tools:
            continue
        earlier = tuple(step for ask in asks for step in ask.target.steps())
        chain = _best(search, clause, found, earlier)
        if chain is None or is_weak(chain, Wish(clause, clause.mentions, earlier)):
            if clause.verb is not None and clause.verb[1] in (Intent.CREATE, Intent.UPDATE, Intent.DELETE):
                left.append(clause)
            if chain is not None and writes(chain.target.view.tool) and is_about(chain, clause):
                unsure.append(chain.target.view.tool)
            continue
        asks.append(Ask(clause, chain.target))
        asks += _further(search, clause, chain, earlier)
    return asks, left, unsure


def _best(search: Search, clause: Clause, found: tuple[Mention, ...], earlier: tuple[Step, ...]) -> Chain | None:
    """The best chain with the clause's own values; with the whole prompt's where that leaves less to ask for."""
    own = search.best(Wish(clause, clause.mentions, earlier))
    others = tuple(mention for mention in found if mention not in clause.mentions)
    if own is None or not own.questions or not others:
        return own
    wider = search.best(Wish(clause, (*clause.mentions, *others), earlier))
    same = wider is not None and wider.target.view is own.target.view
    return wider if wider is not None and same and wider.questions < own.questions else own


def _further(search: Search, clause: Clause, chain: Chain, earlier: tuple[Step, ...]) -> list[Ask]:
    """Targets for words of the clause that its best chain leaves over. Only reads: nothing is added to a change."""
    further: list[Ask] = []
    if writes(chain.target.view.tool):
        return further
    steps = (*earlier, *chain.target.steps())
    for _ in range(_MORE):
        said = {word for step in steps for word in step.view.weights}
        over = tuple(word for word in clause.words if word not in said and search.scorer.knows(word))
        if not over or len(over) < _UNSAID_SHARE * len(clause.words):
            break
        more = search.best(Wish(replace(clause, words=over), clause.mentions, steps))
        if more is None or more.words < _SURE or more.questions or writes(more.target.view.tool):
            break
        if any(step.view is more.target.view for step in steps):
            break
        further.append(Ask(clause, more.target))
        steps = (*steps, *more.target.steps())
    return further


def _cannot(tools: Sequence[Tool], unsure: Sequence[Tool]) -> str:
    """What is said where nothing is done."""
    if unsure:
        names = ", ".join(f"“{tool.summary or tool.name}”" for tool in unsure[:_NAMED_TOOLS])
        return f"I am not sure enough to change anything. If you mean {names}, please say so in these words."
    if not tools:
        return "I can plan calls of this project's tools, but no tool is enabled yet."
    names = "; ".join(" ".join((tool.summary or tool.name).split()).rstrip(".") for tool in tools[:_NAMED_TOOLS])
    return f"I found no tool for this. I can, for example: {names}."


def _only_reply(text: str) -> Plan:
    return Plan(body=(Reply(id="n1", expr=Lit(value=text)),))


def _is_native(tool: Tool) -> bool:
    return isinstance(tool.binding, NativeBinding)


def _outcome(request: PlanRequest, plan: Plan | None, problems: tuple[PlanProblem, ...]) -> PlanOutcome:
    mode = request.mode or PlannerMode.STRUCTURED_JSON
    render = render_dsl if mode is PlannerMode.PYTHON_DSL else render_json
    return PlanOutcome(
        plan=plan, problems=problems, planner=NAME, mode=mode, source=render(plan) if plan is not None else ""
    )
