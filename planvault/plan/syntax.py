"""Text → Python's syntax tree, guarded: measured before, measured after, every parser failure turned into a problem."""

import ast
import warnings

from planvault.plan.limits import parseable, tree_problem
from planvault.plan.problems import Problems
from planvault.plan.source import Source

_MAX_SYNTAX_ERRORS = 5
_PARSER_FAILURES = (ValueError, RecursionError, MemoryError, OverflowError)


def parse_module(program: Source, problems: Problems) -> ast.Module | None:
    """The tree of a program, or None with its syntax errors: several, each found with the earlier ones blanked out."""
    original = text = program.text
    for _ in range(_MAX_SYNTAX_ERRORS):
        tree = _parse(program, text, "exec", problems)
        if not isinstance(tree, SyntaxError):
            return tree if isinstance(tree, ast.Module) and text is original else None
        text, before = _without_line(text, tree.lineno or 1), text
        if text == before:
            return None
    return None


def parse_expression(program: Source, problems: Problems) -> ast.expr | None:
    """The tree of a single expression, or None with what is wrong."""
    tree = _parse(program, program.text, "eval", problems)
    return tree.body if isinstance(tree, ast.Expression) else None


def _parse(program: Source, text: str, mode: str, problems: Problems) -> ast.AST | SyntaxError | None:
    deep = parseable(text)
    if deep:
        problems.add("TOO_COMPLEX", deep, program.at(1, 1), "Split it into smaller steps.")
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of "\d" and `1 is 2`; the plan language has its own words
            tree = ast.parse(text, mode=mode)
    except SyntaxError as error:
        _report(error, program, problems)
        return error
    except _PARSER_FAILURES:
        problems.add("TOO_COMPLEX", "The plan is too deeply nested to be read.", program.at(1, 1), "Use smaller steps.")
        return None
    found = tree_problem(tree)
    if found:
        message, where = found
        at = program.at(where.line, where.column) if where else program.at(1, 1)
        problems.add("TOO_COMPLEX", message, at, "Split it into smaller steps.")
        return None
    return tree


def _report(error: SyntaxError, program: Source, problems: Problems) -> None:
    line = min(max(error.lineno or 1, 1), program.text.count("\n") + 1)
    message = (error.msg or "invalid syntax").split("(<unknown>")[0].strip()
    problems.add("SYNTAX", f"Not valid syntax: {message}.", program.at(line, max(error.offset or 1, 1)), _hint(message))


def _hint(message: str) -> str:
    if "unterminated" in message or "never closed" in message:
        return "Close what was opened; a line break in a string is written \\n."
    if "f-string" in message:
        return "Assign the value to a variable first, then write {variable}."
    if "indent" in message:
        return "Indent blocks by four spaces, with something in each block."
    return "Text stands in quotes; one statement a line."


def _without_line(text: str, line: int) -> str:
    """The text with one line replaced by `pass`, so that the parser gets to the next error."""
    lines = text.split("\n")
    if not 0 < line <= len(lines) or lines[line - 1].strip() == "pass":
        return text
    old = lines[line - 1]
    blank = old[: len(old) - len(old.lstrip())] + ("if True:" if old.rstrip().endswith(":") else "pass")
    lines[line - 1] = blank
    return "\n".join(lines) if blank != old else text
