"""Secrets stand only in arguments of tool calls, alone or inside a text, and only under names that exist."""

from models.plans import Call, DictOf, Expr, ListOf, Lit, Plan, SecretRef, Text
from models.signals import SignalHandle
from planvault.plan.flow import all_nodes, all_parts, expressions, parts
from planvault.plan.problems import Problems, did_you_mean, shown

_PLACES = {
    "assignment": "an assignment",
    "if": "a condition",
    "for": "a loop's list",
    "reply": "a reply",
    "fail": "a fail",
}


def check_secrets(plan: Plan, names: frozenset[str], problems: Problems) -> None:
    signals = _signals(plan)
    for node in all_nodes(plan.body):
        for expr in expressions(node):
            _check_names(expr, names, signals, problems)
            if isinstance(node, Call):
                _check_places(expr, problems)
            else:
                _refuse_all(expr, problems, _PLACES[node.kind])


def _signals(plan: Plan) -> frozenset[str]:
    """Names that the plan waits for and spells out: their handles can be given away."""
    calls = [node for node in all_nodes(plan.body) if isinstance(node, Call)]
    named = [arg.expr for call in calls for arg in call.args if arg.name == "name"]
    return frozenset(expr.value for expr in named if isinstance(expr, Lit) and isinstance(expr.value, str))


def _check_names(expr: Expr, names: frozenset[str], signals: frozenset[str], problems: Problems) -> None:
    for part in all_parts(expr):
        if not isinstance(part, SecretRef):
            continue
        handle = SignalHandle.read(part.name)
        if handle is not None:
            if handle.name not in signals:
                hint = did_you_mean(handle.name, signals, "Wait for it later: wait_for_signal with this name.")
                problems.add("UNKNOWN_SIGNAL", f"The plan waits for no {shown(handle.name)}.", part.loc, hint)
        elif part.name not in names:
            hint = did_you_mean(part.name, names, "Use a secret that exists, or a slot.")
            problems.add("UNKNOWN_SECRET", f"There is no secret {shown(part.name)}.", part.loc, hint)


def _check_places(expr: Expr, problems: Problems) -> None:
    """Inside an argument only lists, objects and texts may lie around a secret."""
    if isinstance(expr, SecretRef):
        return
    if not isinstance(expr, (Text, ListOf, DictOf)):
        _refuse_all(expr, problems, "an operation")
        return
    for part in parts(expr):
        _check_places(part, problems)


def _refuse_all(expr: Expr, problems: Problems, where: str) -> None:
    for part in all_parts(expr):
        if isinstance(part, SecretRef):
            problems.add(
                "SECRET_NOT_ALLOWED",
                f"A secret cannot stand in {where}.",
                part.loc,
                'Pass it to a tool, alone or inside one text such as "Bearer {{secrets.NAME}}".',
            )
