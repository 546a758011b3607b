"""Chains become a plan: calls in order, loops, slots for what is missing, and a reply."""

from collections.abc import Sequence
from dataclasses import dataclass

from models.plans import (
    Arg,
    Assignment,
    Call,
    Compare,
    CompareOp,
    Expr,
    For,
    Func,
    If,
    ListOf,
    Lit,
    Plan,
    PlanNode,
    Reply,
    Slot,
    SlotType,
    Text,
    Var,
)
from models.tools import Tool, ToolParam
from planvault.plan.names import variable_name
from planvault.plan.secret_text import text_of
from planvault.planner.builtin.clauses import Clause
from planvault.planner.builtin.coercion import enum_of, schema_type
from planvault.planner.builtin.links import Link, field, things
from planvault.planner.builtin.steps import Step
from planvault.planner.builtin.toolview import list_depth
from planvault.planner.builtin.verbs import writes
from planvault.planner.builtin.words import split

_PROMPT_LENGTH = 200
_SLOT_TYPES = {each.value: each for each in SlotType}


@dataclass(frozen=True, slots=True)
class Ask:
    """One thing that the prompt asks for, and the call that answers it."""

    clause: Clause
    target: Step


@dataclass(frozen=True, slots=True)
class Answer:
    """What an ask left behind for the reply."""

    ask: Ask
    value: Expr | None  # None: only that it was done


class Composer:
    """Builds one plan. Equal steps are called once."""

    def __init__(self) -> None:
        self._slots: dict[str, Slot] = {}
        self._called: list[tuple[Step, str]] = []  # with the variable of its result
        self._computed: list[tuple[Expr, str]] = []
        self._taken: set[str] = set()
        self._nodes = 0

    def plan(self, asks: Sequence[Ask], notes: Sequence[str]) -> Plan:
        body: list[PlanNode] = []
        answers = [self._ask(ask, body) for ask in asks]
        body.append(Reply(id=self._id(), expr=_reply(answers, notes)))
        return Plan(slots=tuple(self._slots.values()), body=tuple(body))

    def _ask(self, ask: Ask, body: list[PlanNode]) -> Answer:
        if self._variable(ask.target) is None:
            for param in ask.target.view.tool.params:
                step, link = ask.target.linked.get(param.name, (None, None))
                if step and link and _is_each(ask, param, link):
                    return self._each(ask, step, link, body)
        if ask.target.fan is not None and self._variable(ask.target) is None:
            return self._fan(ask, *ask.target.fan, body)
        return Answer(ask, _value(ask, self._call(ask.target, body)))

    def _call(self, step: Step, body: list[PlanNode]) -> str:
        """Appends the step's calls, producers first; the variable of its result."""
        known = self._variable(step)
        if known is not None:
            return known
        args = self._args(step, {}, body)
        target = self._name(step.view.tool.name)
        self._called.append((step, target))
        body.append(Call(id=self._id(), target=target, tool=step.view.tool.name, args=args))
        return target

    def _variable(self, step: Step) -> str | None:
        return next((variable for each, variable in self._called if each == step), None)

    def _args(self, step: Step, fixed: dict[str, Expr], body: list[PlanNode]) -> tuple[Arg, ...]:
        exprs: dict[str, Expr] = {**step.exprs, **fixed}
        for name, (producer, link) in step.linked.items():
            if name not in exprs:
                exprs[name] = _shaped(step.view.tool, name, self._taken_from(producer, link, step.view.tool, body))
        for param in step.asked:
            exprs[param.name] = Var(name=self._slot(step.view.tool, param))
        order = [param.name for param in step.view.tool.params if param.name in exprs]
        return tuple(Arg(name=name, expr=exprs[name]) for name in order)

    def _taken_from(self, producer: Step, link: Link, user: Tool, body: list[PlanNode]) -> Expr:
        """The link's value, for `user`. Where nothing is found the plan answers so, before that call could fail."""
        variable = self._call(producer, body)
        if not link.in_list:
            return field(Var(name=variable), link.path)
        at = link.path.index("*")
        listed, rest = field(Var(name=variable), link.path[:at]), link.path[at + 1 :]
        item = self._item(link, listed, user, body)
        what = f"{link.where[1].value!r}" if link.where else "that position" if link.index else "anything"
        self._unless(Compare(op=CompareOp.EQ, left=item, right=Lit(value=None)), link.producer.tool, what, body)
        return field(item, rest)

    def _item(self, link: Link, listed: Expr, user: Tool, body: list[PlanNode]) -> Expr:
        """The item of a list that is meant, or null. What is to be changed has exactly the name that was given."""
        if link.where is not None:
            name, mention = link.where
            same = "==" if writes(user) else "contains"
            terms = (listed, Lit(value=name), Lit(value=same), Lit(value=str(mention.value)))
            return self._assigned(f"found_{link.producer.resource}", Func(name="find_by", args=terms), body)
        position = link.index.value if link.index else 1
        if isinstance(position, int) and position > 1:
            path = Lit(value=f"[{position - 1}]")
            return self._assigned(
                f"chosen_{link.producer.resource}", Func(name="get_field", args=(listed, path, Lit(value=None))), body
            )
        return self._assigned(f"first_{link.producer.resource}", Func(name="first", args=(listed,)), body)

    def _assigned(self, name: str, expr: Expr, body: list[PlanNode]) -> Expr:
        """A variable that holds the expression; the same expression is computed once."""
        for known, variable in self._computed:
            if known == expr:
                return Var(name=variable)
        variable = self._name(name)
        self._computed.append((expr, variable))
        body.append(Assignment(id=self._id(), target=variable, expr=expr))
        return Var(name=variable)

    def _unless(self, condition: Compare, tool: Tool, what: str, body: list[PlanNode]) -> None:
        if any(isinstance(node, If) and node.condition == condition for node in body):
            return
        text = f"“{title(tool)}” did not find {what}, so nothing further was done."
        body.append(If(id=self._id(), condition=condition, then=(Reply(id=self._id(), expr=Lit(value=text)),)))

    def _each(self, ask: Ask, producer: Step, link: Link, body: list[PlanNode]) -> Answer:
        """A loop over the list that a producer found."""
        variable = self._call(producer, body)
        at = link.path.index("*")
        listed = field(Var(name=variable), link.path[:at])
        item = self._name(f"each_{link.producer.resource or 'item'}")
        fixed = {
            name: _shaped(ask.target.view.tool, name, field(Var(name=item), other.path[at + 1 :]))
            for name, (step, other) in ask.target.linked.items()
            if step == producer and other.path[: at + 1] == link.path[: at + 1]
        }
        return self._loop(ask, item, listed, fixed, body)

    def _fan(self, ask: Ask, param: str, values: ListOf, body: list[PlanNode]) -> Answer:
        """A loop over the values that the prompt enumerates."""
        item = self._name(f"each_{param}")
        return self._loop(ask, item, values, {param: Var(name=item)}, body)

    def _loop(self, ask: Ask, item: str, listed: Expr, fixed: dict[str, Expr], body: list[PlanNode]) -> Answer:
        """One call for every item; a read's results are gathered, a change's are counted."""
        tool = ask.target.view.tool
        gathered = "" if writes(tool) else self._name(f"{tool.name}_all")
        if gathered:
            body.append(Assignment(id=self._id(), target=gathered, expr=ListOf(items=())))
        args = self._args(ask.target, fixed, body)
        result = self._name(tool.name)
        inner: list[PlanNode] = [Call(id=self._id(), target=result, tool=tool.name, args=args)]
        if gathered:
            more = Func(name="append", args=(Var(name=gathered), Var(name=result)))
            inner.append(Assignment(id=self._id(), target=gathered, expr=more))
        body.append(For(id=self._id(), variable=item, iterable=listed, body=tuple(inner)))
        counted = Text(parts=(Func(name="len", args=(listed,)), Lit(value=" done")))
        return Answer(ask, Var(name=gathered) if gathered else counted)

    def _slot(self, tool: Tool, param: ToolParam) -> str:
        name = self._name(param.name)
        kind = schema_type(param.schema_)
        described = " ".join(param.description.split())
        label = " ".join(split(param.name))
        prompt = f"{described} ({label})" if described else f"{label.capitalize()} for “{title(tool)}”"
        self._slots[name] = Slot(
            variable=name,
            prompt=prompt if len(prompt) <= _PROMPT_LENGTH else prompt[: _PROMPT_LENGTH - 1] + "…",
            type=_SLOT_TYPES.get(kind, SlotType.STRING),
            options=enum_of(param.schema_),
        )
        return name

    def _name(self, text: str) -> str:
        name = variable_name(text, self._taken)
        self._taken.add(name)
        return name

    def _id(self) -> str:
        self._nodes += 1
        return f"n{self._nodes}"


def _is_each(ask: Ask, param: ToolParam, link: Link) -> bool:
    """Whether the call is to be made for every item of the producer's list."""
    if not link.in_list or link.where is not None or link.index is not None:
        return False
    return ask.clause.means_each(things(ask.target.view, param, link))


def _shaped(tool: Tool, name: str, expr: Expr) -> Expr:
    param = tool.param(name)
    return ListOf(items=(expr,)) if param is not None and schema_type(param.schema_) == "array" else expr


def _value(ask: Ask, variable: str) -> Expr | None:
    tool = ask.target.view.tool
    if writes(tool) and not tool.outputs:
        return None
    if ask.clause.counts:
        return _count(tool, variable)
    return Var(name=variable)


def _count(tool: Tool, variable: str) -> Expr:
    """“How many”: the service's own total where it gives one, else the length of its only list."""
    for output in tool.outputs:
        numeric = output.type in ("integer", "number") and not list_depth(output)
        if numeric and split(output.path[-1])[:1] in (["total"], ["count"]):
            return field(Var(name=variable), output.path)
    lists = {output.path[: output.path.index("*")] for output in tool.outputs if list_depth(output) == 1}
    if len(lists) == 1:
        return Func(name="len", args=(field(Var(name=variable), lists.pop()),))
    return Var(name=variable)


def _reply(answers: Sequence[Answer], notes: Sequence[str]) -> Expr:
    """One value stands for itself; several are lines of a text, each under what it answers."""
    if len(answers) == 1 and not notes and answers[0].value is not None:
        return answers[0].value
    parts: list[Expr] = []
    for at, answer in enumerate(answers):
        heading = ("\n" if at else "") + title(answer.ask.target.view.tool)
        if answer.value is None:
            parts.append(Lit(value=f"{heading}: done"))
        else:
            parts += [Lit(value=f"{heading}: "), answer.value]
    parts += [Lit(value=f"\n{note}") for note in notes]
    return text_of(parts, None)


def title(tool: Tool) -> str:
    return " ".join(tool.summary.split()).rstrip(".") or " ".join(split(tool.name)).capitalize()
