"""What to say to Python that is no part of the plan language."""

import ast

from planvault.plan.functions import FUNCTIONS
from planvault.plan.problems import did_you_mean

_FORMS: dict[type[ast.AST], tuple[str, str]] = {
    ast.IfExp: ("`a if c else b`", "Use an if statement that assigns the variable in both branches."),
    ast.Lambda: ("lambda", "Use pluck, filter_by, find_by or sort with a field path."),
    ast.ListComp: ("a list comprehension", "Use pluck(list, path), filter_by(list, path, value) or a for loop."),
    ast.SetComp: ("a set comprehension", "Use unique(pluck(list, path))."),
    ast.DictComp: ("a dict comprehension", "Build the object with set_field in a for loop."),
    ast.GeneratorExp: ("a generator", "Use pluck(list, path), filter_by(list, path, value) or a for loop."),
    ast.Set: ("a set", "Use a list: [a, b]."),
    ast.Tuple: ("a tuple", "Use a list: [a, b]."),
    ast.NamedExpr: ("`:=`", "Assign on a line of its own."),
    ast.Await: ("await", "Tool calls wait by themselves: leave await out."),
    ast.Yield: ("yield", "Collect items with append(list, item)."),
    ast.Starred: ("`*`", "Write the items out, or join lists with +."),
    ast.FunctionDef: ("def", "Write the steps one after the other."),
    ast.AsyncFunctionDef: ("async def", "Write the steps one after the other."),
    ast.ClassDef: ("class", ""),
    ast.Import: ("import", "The standard functions are there without it."),
    ast.ImportFrom: ("import", "The standard functions are there without it."),
    ast.While: ("while", "Use for over a list or range(n)."),
    ast.Try: ("try", "Use result = attempt(tool(…)): the result is None if the call fails."),
    ast.Raise: ("raise", "Use fail(reason)."),
    ast.Return: ("return", "Use reply(text)."),
    ast.Assert: ("assert", "Use if not …: fail(reason)."),
    ast.With: ("with", ""),
    ast.Delete: ("del", ""),
    ast.Global: ("global", "All variables are visible everywhere after their assignment."),
    ast.Nonlocal: ("nonlocal", "All variables are visible everywhere after their assignment."),
    ast.Match: ("match", "Use if / elif / else."),
    ast.Break: ("break", "Use find_by or slice to take fewer items."),
    ast.Continue: ("continue", "Put the rest of the loop into an if."),
    ast.AnnAssign: ("a type annotation", "Write name = value."),
    ast.AsyncFor: ("async for", "Use for."),
}


def refusal(node: ast.AST) -> tuple[str, str, str]:
    """Code, message and hint."""
    form, hint = _FORMS.get(type(node), (type(node).__name__, ""))
    return "NOT_ALLOWED", f"{form} is no part of the plan language.", hint


_METHODS = {
    "strip": "trim",
    "startswith": "starts_with",
    "endswith": "ends_with",
    "get": "get_field",
    "update": "merge",
    "extend": "append",
    "count": "len",
    "index": "find_by",
    "sorted": "sort",
    "items": "keys",
    "isoformat": "str",
    "dumps": "to_json",
    "loads": "parse_json",
}


def method_refusal(func: ast.expr) -> tuple[str, str, str]:
    """Code, message and hint for a call of something that is no plain name."""
    if not isinstance(func, ast.Attribute):
        return "NO_METHODS", "Only functions and tools can be called, by name.", ""
    name = _METHODS.get(func.attr, func.attr)
    hint = (
        f"Write {FUNCTIONS[name].signature}."
        if name in FUNCTIONS
        else did_you_mean(name, FUNCTIONS, 'A tool with a dot in its name is called with call("name", …).')
    )
    return "NO_METHODS", f"Values have no methods: .{func.attr}(…) is not allowed.", hint
