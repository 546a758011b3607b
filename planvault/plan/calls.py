"""Tool calls in the Python spelling.

    tool(a=1)                           a tool whose name is an identifier
    call("Music.Lookup", a=1)           any tool, whatever its name
    call("tool", **{"X-Foo": 1})        any parameter, whatever its name
    attempt(tool(a=1))                  on_error = continue: the result is None if the call fails

`attempt` wraps the call instead of being an argument, so that no tool's parameter can clash with it.
"""

import ast
from collections.abc import Callable

from models.plans import Arg, Lit, Loc, OnError
from planvault.plan.expressions import Expressions
from planvault.plan.functions import FUNCTIONS
from planvault.plan.names import CONCAT, STATEMENT_WORDS
from planvault.plan.problems import nearest, shown

Read = tuple[str, tuple[Arg, ...], OnError]


class Calls:
    def __init__(self, expressions: Expressions, locate: Callable[[ast.AST], Loc | None]) -> None:
        self._expressions = expressions
        self._locate = locate

    def is_call(self, node: ast.expr) -> bool:
        """Whether the value of a statement is a tool call: any name called that is not a standard function.

        A dotted name called with named arguments counts too: it is reported with the spelling that works.
        """
        if not isinstance(node, ast.Call):
            return False
        if isinstance(node.func, ast.Attribute):
            return bool(node.keywords) and not node.args and _dotted(node.func) is not None
        if not isinstance(node.func, ast.Name):
            return False
        name = node.func.id
        return name in ("call", "attempt") or name not in STATEMENT_WORDS | FUNCTIONS.keys() | {CONCAT}

    def read(self, node: ast.expr) -> Read | None:
        """Tool, arguments and error policy; None with the problems where the call cannot be read."""
        if not isinstance(node, ast.Call):
            self._expressions.convert(node)
            return None
        if not isinstance(node.func, ast.Name):
            self._refuse_dotted(node)
            return None
        if node.func.id == "attempt":
            return self._attempt(node)
        if node.func.id == "call":
            return self._named(node)
        self._refuse_positional(node.args, node.func.id)
        return node.func.id, self._arguments(node.keywords), OnError.FAIL

    def _attempt(self, node: ast.Call) -> Read | None:
        inner = node.args[0] if len(node.args) == 1 and not node.keywords else None
        if inner is None or not self.is_call(inner) or _is_attempt(inner):
            self._expressions.refuse(
                node, "BAD_ATTEMPT", "attempt() wraps one tool call.", "Write result = attempt(tool(name=value))."
            )
            return None
        read = self.read(inner)
        return (read[0], read[1], OnError.CONTINUE) if read else None

    def _named(self, node: ast.Call) -> Read | None:
        name = self._expressions.convert(node.args[0]) if node.args else None
        if not (isinstance(name, Lit) and isinstance(name.value, str) and name.value):
            self._expressions.refuse(
                node,
                "BAD_CALL",
                "call() needs the tool's name as its first argument.",
                'Write call("tool", name=value).',
            )
            return None
        self._refuse_positional(node.args[1:], name.value)
        return name.value, self._arguments(node.keywords), OnError.FAIL

    def _refuse_dotted(self, node: ast.Call) -> None:
        self._arguments(node.keywords)
        name = _dotted(node.func) or "tool"
        self._expressions.refuse(
            node,
            "NO_METHODS",
            f"{shown(name)} cannot be called like this.",
            f"A tool with such a name is called with call({shown(name)}, name=value).",
        )

    def _refuse_positional(self, args: list[ast.expr], tool: str) -> None:
        if not args:
            return
        close = nearest(tool, FUNCTIONS)
        self._expressions.refuse(
            args[0],
            "POSITIONAL_ARGUMENT",
            f"The tool {shown(tool)} takes its arguments by name.",
            f"Write {tool}(name=value)." + (f" Or did you mean the function {close}()?" if close else ""),
        )
        for arg in args:
            self._expressions.convert(arg.value if isinstance(arg, ast.Starred) else arg)

    def _arguments(self, keywords: list[ast.keyword]) -> tuple[Arg, ...]:
        args: list[Arg] = []
        for keyword in keywords:
            if keyword.arg is not None:
                args.append(self._argument(keyword.arg, keyword.value, keyword))
            elif isinstance(keyword.value, ast.Dict):
                args.extend(self._spread(keyword.value))
            else:
                self._expressions.refuse(
                    keyword, "BAD_SPREAD", "** takes an object display only.", 'Write **{"name": value}.'
                )
        return tuple(args)

    def _argument(self, name: str, value: ast.expr, place: ast.AST) -> Arg:
        return Arg(name=name, expr=self._expressions.convert(value), loc=self._locate(place))

    def _spread(self, node: ast.Dict) -> list[Arg]:
        args: list[Arg] = []
        for key, value in zip(node.keys, node.values, strict=True):
            name = self._expressions.convert(key) if key is not None else None
            if key is not None and isinstance(name, Lit) and isinstance(name.value, str):
                args.append(self._argument(name.value, value, key))
            else:
                self._expressions.refuse(key or value, "BAD_KEY", "Parameter names are string literals.")
        return args


def _is_attempt(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "attempt"


def _dotted(node: ast.expr) -> str | None:
    """`a.b.c`, or None for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else None
