"""Tool calls against the tools: known, complete, and each argument of a type that its parameter takes."""

from collections.abc import Mapping

from models.plans import Arg, Assignment, Call, Expr, For, If, Plan, SecretRef, Var
from models.tools import Tool, ToolParam
from planvault.plan.expressions import is_hole
from planvault.plan.flow import Body, parts, targets
from planvault.plan.inference import Types, literal_of, slot_types, type_of
from planvault.plan.parameter_schema import allows_type, mismatch
from planvault.plan.problems import Problems, did_you_mean, shown

_SHOWN_NAMES = 12


def check_calls(plan: Plan, tools: Mapping[str, Tool], problems: Problems) -> None:
    _Checker(tools, problems).block(plan.body, slot_types(plan.slots))


class _Checker:
    def __init__(self, tools: Mapping[str, Tool], problems: Problems) -> None:
        self._tools = tools
        self._problems = problems

    def block(self, body: Body, types: Types) -> Types:
        """Types of the variables after the block."""
        for node in body:
            match node:
                case Assignment():
                    types = {**types, node.target: type_of(node.expr, types)}
                case Call():
                    self._call(node, types)
                    types = {**types, node.target: None} if node.target is not None else types
                case If():
                    types = _join(self.block(node.then, types), self.block(node.orelse, types))
                case For():
                    # A later round sees what an earlier one assigned.
                    inside = {**types, **dict.fromkeys(targets(node.body)), node.variable: None}
                    self.block(node.body, inside)
                    types = {**types, **dict.fromkeys(targets(node.body))}
                case _:
                    pass
        return types

    def _call(self, call: Call, types: Types) -> None:
        if not call.tool:
            return
        tool = self._tools.get(call.tool)
        if tool is None:
            hint = did_you_mean(call.tool, self._tools, _listed("The tools are", list(self._tools)))
            self._problems.add("UNKNOWN_TOOL", f"There is no tool {shown(call.tool)}.", call.loc, hint)
            return
        params = {param.name: param for param in tool.params}
        given: set[str] = set()
        for arg in call.args:
            if arg.name in given:
                message = f"The parameter {shown(arg.name)} is given twice."
                self._problems.add("DUPLICATE_ARGUMENT", message, arg.loc, "Give it once.")
            elif arg.name not in params:
                self._unknown(tool, arg, params)
            else:
                self._argument(tool, arg, params[arg.name], types)
            given.add(arg.name)
        self._missing(call, tool, given)

    def _unknown(self, tool: Tool, arg: Arg, params: Mapping[str, ToolParam]) -> None:
        hint = did_you_mean(arg.name, params, _listed("Its parameters are", list(params)))
        message = f"The tool {shown(tool.name)} has no parameter {shown(arg.name)}."
        self._problems.add("UNKNOWN_PARAMETER", message, arg.loc, hint)

    def _missing(self, call: Call, tool: Tool, given: set[str]) -> None:
        for param in tool.params:
            if param.required and param.name not in given:
                about = f" ({param.description[:100]})" if param.description else ""
                message = f"The tool {shown(tool.name)} needs {shown(param.name)}{about}."
                hint = "Give it, or declare a slot for it."
                self._problems.add("MISSING_PARAMETER", message, call.loc, hint)

    def _argument(self, tool: Tool, arg: Arg, param: ToolParam, types: Types) -> None:
        reason = _fault(arg.expr, param, types)
        if reason is None:
            return
        hint = ""
        if not param.required and literal_of(arg.expr) is not None and type_of(arg.expr, types) == "null":
            hint = "Leave the parameter out."
        elif reason.startswith("expected string"):
            hint = "Put the value in quotes, or use str(value)."
        message = f"{shown(param.name)} of the tool {shown(tool.name)}: {reason}."
        self._problems.add("TYPE_MISMATCH", message, arg.expr.loc or arg.loc, hint)


def _fault(expr: Expr, param: ToolParam, types: Types) -> str | None:
    """Why the value cannot be right, judged by its literal where there is one, else by its type."""
    if isinstance(expr, SecretRef) or _has_hole(expr):
        return None
    literal = literal_of(expr)
    if literal is not None:
        return mismatch(literal.value, param.schema_)
    kind = type_of(expr, types)
    return allows_type(kind, param.schema_) if kind is not None else None


def _has_hole(expr: Expr) -> bool:
    return (isinstance(expr, Var) and is_hole(expr)) or any(is_hole(part) for part in parts(expr))


def _join(one: Types, other: Types) -> Types:
    return {name: kind if other.get(name, kind) == kind else None for name, kind in {**other, **one}.items()}


def _listed(lead: str, names: list[str]) -> str:
    if not names:
        return "There are none."
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return f"{lead} {', '.join(names[:_SHOWN_NAMES])}{more}."
