"""Names: every variable defined on every path to its use, every function known, nothing reserved reassigned."""

from collections.abc import Collection

from models.plans import Assignment, Call, Expr, For, Func, If, Loc, Plan, PlanNode, Var
from planvault.plan.flow import Body, Defined, all_parts, expressions, terminates
from planvault.plan.functions import FUNCTIONS
from planvault.plan.names import RUN_STARTED_AT, variable_name, why_no_variable
from planvault.plan.problems import Problems, did_you_mean, shown


def resolve(plan: Plan, problems: Problems, tool_names: Collection[str] = ()) -> None:
    """Reports every fault of naming. `tool_names` only serve the hints."""
    resolver = _Resolver(problems, frozenset(tool_names))
    slots = resolver.slots(plan)
    resolver.block(plan.body, Defined().plus(RUN_STARTED_AT, *slots))


class _Resolver:
    def __init__(self, problems: Problems, tool_names: frozenset[str]) -> None:
        self._problems = problems
        self._tool_names = tool_names
        self._fixed: dict[str, str] = {}  # names that may not be assigned here, with the reason

    def slots(self, plan: Plan) -> list[str]:
        for slot in plan.slots:
            if slot.variable in self._fixed:
                self._problems.add("DUPLICATE_SLOT", f"The slot {shown(slot.variable)} is declared twice.", slot.loc)
            else:
                self._may_name(slot.variable, slot.loc)
            self._fixed[slot.variable] = "is a slot, which a person fills"
        return [slot.variable for slot in plan.slots]

    def block(self, body: Body, defined: Defined) -> Defined:
        """What is defined after the block."""
        for node in body:
            for expr in expressions(node):
                self._uses(expr, defined)
            defined = self._after(node, defined)
        return defined

    def _after(self, node: PlanNode, defined: Defined) -> Defined:
        match node:
            case Assignment() | Call():
                if node.target is None:
                    return defined
                self._may_assign(node.target, node.loc)
                return defined.plus(node.target)
            case If():
                return self._branches(node, defined)
            case For():
                return self._loop(node, defined)
            case _:
                return defined

    def _branches(self, node: If, defined: Defined) -> Defined:
        ends = [self.block(branch, defined) for branch in (node.then, node.orelse)]
        open_ends = [end for end, branch in zip(ends, (node.then, node.orelse), strict=True) if not terminates(branch)]
        if len(open_ends) == 2:
            return open_ends[0].join(open_ends[1])
        return open_ends[0] if open_ends else ends[0].join(ends[1])

    def _loop(self, node: For, defined: Defined) -> Defined:
        if node.variable:
            self._may_assign(node.variable, node.loc)
            if node.variable in defined.maybe:
                self._problems.add(
                    "SHADOWED",
                    f"{node.variable!r} already has a value, the loop would hide it.",
                    node.loc,
                    "Choose another name for the loop variable.",
                )
        before = self._fixed.get(node.variable)
        self._fixed[node.variable] = "is the variable of a loop"
        inside = self.block(node.body, defined.plus(node.variable))
        del self._fixed[node.variable]
        if before is not None:
            self._fixed[node.variable] = before
        return Defined(defined.surely, (defined.maybe | inside.maybe) - ({node.variable} - defined.maybe))

    def _may_assign(self, name: str, loc: Loc | None) -> None:
        reason = self._fixed.get(name)
        if reason is None:
            self._may_name(name, loc)
        else:
            self._problems.add("NOT_ASSIGNABLE", f"{name!r} {reason}: it cannot be assigned.", loc, "Use a new name.")

    def _may_name(self, name: str, loc: Loc | None) -> None:
        reason = why_no_variable(name) if name else None
        if reason is not None:
            hint = f"Use another name, such as {variable_name(name)!r}."
            self._problems.add("RESERVED_NAME", f"{shown(name)} {reason} and cannot be a variable.", loc, hint)

    # ── uses ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _uses(self, expr: Expr, defined: Defined) -> None:
        for part in all_parts(expr):
            if isinstance(part, Var) and part.name and part.name not in defined.surely:
                self._undefined(part, defined)
            elif isinstance(part, Func):
                self._function(part)

    def _undefined(self, var: Var, defined: Defined) -> None:
        if var.name in defined.maybe:
            message = f"{var.name!r} is defined on some paths only."
            self._problems.add("MAYBE_UNDEFINED", message, var.loc, f"Assign {var.name} before the if or the loop.")
            return
        if var.name in FUNCTIONS:
            message, hint = f"{var.name!r} is a function.", f"Write {FUNCTIONS[var.name].signature}."
        elif var.name in self._tool_names:
            message = f"{var.name!r} is a tool."
            hint = f"Write result = {var.name}(…) on its own line, then use result."
        else:
            message = f"{shown(var.name)} is not defined."
            hint = did_you_mean(var.name, defined.surely, "Assign it first. Text stands in quotes.")
        self._problems.add("UNDEFINED_VARIABLE", message, var.loc, hint)

    def _function(self, func: Func) -> None:
        function = FUNCTIONS.get(func.name)
        if function is None:
            if func.name in self._tool_names:
                hint = f"It is a tool: write result = {func.name}(…) on its own line, then use result."
            else:
                hint = did_you_mean(func.name, FUNCTIONS, f"The functions are {', '.join(FUNCTIONS)}.")
            self._problems.add("UNKNOWN_FUNCTION", f"There is no function {shown(func.name)}.", func.loc, hint)
        elif not function.least <= len(func.args) <= function.most:
            message = f"{func.name}() got {len(func.args)} arguments."
            self._problems.add("WRONG_ARGUMENTS", message, func.loc, f"Write {function.signature}.")
