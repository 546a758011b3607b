"""`jsonpath(value, query)`: RFC 9535 queries, paid from the budget.

A query comes from a plan, what it meets comes from a service, and both may be hostile. So every node that a query
visits is paid for, comparisons of lists and objects are the plan language's own, and regular expressions run on RE2,
whose time grows with the text and never with the pattern's ambiguity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

import re2
from jsonpath import CompoundJSONPath, JSONPath, JSONPathEnvironment, JSONPathMatch, NodeList
from jsonpath.exceptions import JSONPathError, JSONPathRecursionError
from jsonpath.filter import BaseExpression, FilterQuery
from jsonpath.function_extensions import ExpressionType, FilterFunction
from jsonpath.segments import JSONPathRecursiveDescentSegment, JSONPathSegment
from jsonpath.selectors import Filter

from models.values import SecretText, Value
from planvault.plan.budget import Budget, EvaluationFailed
from planvault.plan.problems import shown
from planvault.plan.values import equal, secret_refused, type_name

MAX_QUERY = 2_000  # characters
_NODE_BYTES = 400  # what the library keeps of a node that it has found
_MAX_PATTERN = 500


def query(args: list[Value], budget: Budget) -> Value:
    """All values that the query selects, as a list, in document order."""
    text = args[1]
    if not isinstance(text, str):
        raise EvaluationFailed("BAD_JSONPATH", f'A query is text such as "$.items[*].id", not {type_name(text)}.')
    if len(text) > MAX_QUERY:
        raise EvaluationFailed("BAD_JSONPATH", f"A query has at most {MAX_QUERY:,} characters.")
    if isinstance(args[0], SecretText):
        raise secret_refused("query it")
    compiled = _compiled(text, budget)
    try:
        found = [cast("Value", match.obj) for match in compiled.finditer(cast("Any", args[0]))]
    except JSONPathError as fault:
        raise EvaluationFailed("BAD_JSONPATH", f"{shown(text)} cannot be applied: {_reason(fault)}") from None
    budget.create_values(found)
    return found


def _reason(fault: Exception) -> str:
    """Without the picture that the library draws below it, which has no frame for a query of no characters."""
    return str(fault.args[0]) if fault.args else type(fault).__name__


def _compiled(text: str, budget: Budget) -> _Paid:
    try:
        compiled = _Environment(budget).compile(text)
    except JSONPathRecursionError:
        raise EvaluationFailed("TOO_DEEP", f"{shown(text)} nests too deeply.") from None
    # The library lets numbers such as 1e400 out as what Python says of them.
    except (JSONPathError, ValueError, OverflowError) as fault:
        raise EvaluationFailed("BAD_JSONPATH", f"{shown(text)} is no JSONPath (RFC 9535): {_reason(fault)}") from None
    if isinstance(compiled, CompoundJSONPath):
        raise EvaluationFailed("BAD_JSONPATH", f"{shown(text)} joins two queries: make two calls.")
    return _paid(compiled)


class _Environment(JSONPathEnvironment):
    """One evaluation's: strict RFC 9535, with the functions that must be paid for or bounded replaced."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        super().__init__(strict=True)

    def setup_function_extensions(self) -> None:
        super().setup_function_extensions()
        self.function_extensions["match"] = _Regex(self.budget, whole=True)
        self.function_extensions["search"] = _Regex(self.budget, whole=False)

    def compare(self, left: object, operator: str, right: object) -> bool:
        """Deep equality costs what is looked at; the rest is the library's."""
        self.budget.step()
        if operator in ("==", "!="):
            one, other = _single(left), _single(right)
            if isinstance(one, list | dict) and isinstance(other, list | dict):
                return equal(one, other, self.budget) is (operator == "==")
        return super().compare(left, operator, right)


def _single(operand: object) -> Any:
    """The value of a query's only node, else the operand itself."""
    if not isinstance(operand, NodeList):
        return operand
    return operand[0].obj if len(operand) == 1 else None


class _Paid(JSONPath):
    """A query whose every visited node is a step."""

    __slots__ = ()

    def finditer(self, data: Any, *, filter_context: Mapping[str, Any] | None = None) -> Iterable[JSONPathMatch]:
        environment = self.env
        assert isinstance(environment, _Environment)
        budget = environment.budget
        budget.step()
        if any(isinstance(segment, JSONPathRecursiveDescentSegment) for segment in self.segments):
            budget.visit(data)  # descending finds nothing and still has looked everywhere
        matches: Iterable[JSONPathMatch] = [
            JSONPathMatch(filter_context=filter_context or {}, obj=data, parent=None, path="$", parts=(), root=data)
        ]
        for segment in self.segments:
            matches = _counted(segment.resolve(matches), budget)
        return matches


def _counted(matches: Iterable[JSONPathMatch], budget: Budget) -> Iterator[JSONPathMatch]:
    for match in matches:
        budget.step()
        budget.create(_NODE_BYTES)
        yield match


def _paid(path: JSONPath) -> _Paid:
    """The query and all queries inside its filters, each paying."""
    for expression in _filters(path.segments):
        _pay(expression)
    return _Paid(env=path.env, segments=path.segments, pseudo_root=path.pseudo_root)


def _pay(expression: BaseExpression) -> None:
    if isinstance(expression, FilterQuery):
        expression.path = _paid(expression.path)
        return
    for child in expression.children():
        _pay(child)


def _filters(segments: Iterable[JSONPathSegment]) -> Iterator[BaseExpression]:
    for segment in segments:
        for selector in segment.selectors:
            if isinstance(selector, Filter):
                yield selector.expression


class _Regex(FilterFunction):
    """`match` and `search` (RFC 9535 §2.4.6, 2.4.7). I-Regexp (RFC 9485) is a subset of RE2, but for what `.` means."""

    arg_types = [ExpressionType.VALUE, ExpressionType.VALUE]  # noqa: RUF012 - the library's own spelling
    return_type = ExpressionType.LOGICAL

    def __init__(self, budget: Budget, *, whole: bool) -> None:
        self._budget = budget
        self._whole = whole
        self._compiled: dict[str, Any] = {}

    def __call__(self, value: object, pattern: object) -> bool:
        if not isinstance(value, str) or not isinstance(pattern, str) or len(pattern) > _MAX_PATTERN:
            return False
        self._budget.step(1 + len(value) // 16)
        if pattern not in self._compiled:
            self._budget.step(len(pattern) * 10)
            self._compiled[pattern] = _compile(pattern)
        compiled = self._compiled[pattern]
        if compiled is None:
            return False  # not a regular expression: it matches nothing (RFC 9535 §2.4.6)
        return (compiled.fullmatch(value) if self._whole else compiled.search(value)) is not None


def _compile(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        return re2.compile(_dots(pattern), options)
    except re2.error:
        return None


def _dots(pattern: str) -> str:
    """`.` spelled as I-Regexp means it: anything but a line end."""
    out: list[str] = []
    escaped = in_class = False
    for char in pattern:
        if char == "." and not escaped and not in_class:
            out.append(r"[^\n\r]")
            continue
        if not escaped and char in "[]":
            in_class = char == "["
        escaped = char == "\\" and not escaped
        out.append(char)
    return "".join(out)
