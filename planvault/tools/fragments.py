"""The values of a plan's expressions over stored results. Pure; the same evaluator that the engine uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import orjson

from models.base import JsonObject, JsonValue
from models.results import INLINE_BYTES, FragmentFound, FragmentPart, FragmentQuery, FragmentRefused, Stored
from models.values import Value
from planvault.plan.evaluate import Budget, EvaluationFailed, evaluate, evaluate_items
from planvault.tools.shape import shape_of

# Twenty times what the engine may spend on an expression: the data are so much larger, and nobody waits in line.
STEPS = 20_000_000
BYTES = 512 * 1024 * 1024

_SOURCE = -1  # the list that a loop goes through


@dataclass(slots=True)
class Found:
    """`parts` in the order asked for; `large` are those whose JSON must be stored, by position."""

    parts: list[JsonValue] = field(default_factory=list)
    large: dict[int, bytes] = field(default_factory=dict)
    shapes: dict[int, JsonObject] = field(default_factory=dict)
    total: int | None = None

    def put_aside(self, position: int, content: bytes, value: JsonValue) -> None:
        self.large[position] = content
        self.shapes[position] = shape_of(value)

    def answer(self, stored: Mapping[int, Stored]) -> FragmentFound:
        parts = (
            FragmentPart(stored=stored[position]) if position in stored else FragmentPart.model_construct(value=value)
            for position, value in enumerate(self.parts)
        )
        return FragmentFound(parts=tuple(parts), total=self.total, source=stored.get(_SOURCE))


def evaluated(query: FragmentQuery, scope: Mapping[str, Value]) -> Found | FragmentRefused:
    """CPU-bound. A fault of evaluation is the plan's, and an answer."""
    budget = Budget(STEPS, BYTES, may_meet_secrets=False)
    try:
        if query.items_from is not None:
            return _items(query, scope, budget)
        return _values(query, scope, budget)
    except EvaluationFailed as fault:
        return FragmentRefused(code=fault.code, message=fault.message)


def refused_for_size(what: str, limit: int) -> FragmentRefused:
    """Says what to do instead."""
    message = (
        f"{what}; at most {limit:,} can be used here. "
        'Pick a part of it with get_field(value, "path"), jsonpath(value, "$…"), pluck, filter_by or slice.'
    )
    return FragmentRefused(code="RESULT_TOO_LARGE", message=message)


def _values(query: FragmentQuery, scope: Mapping[str, Value], budget: Budget) -> Found | FragmentRefused:
    found, left = Found(), INLINE_BYTES
    for position, expr in enumerate(query.exprs):
        # No secret comes here: expressions with handles stay with the engine, and so do their values.
        value = cast("JsonValue", evaluate(expr, scope, budget))
        content = orjson.dumps(value)
        if len(content) <= left:
            left -= len(content)
            found.parts.append(value)
        elif query.whole:
            return refused_for_size(f"The value has {len(content):,} bytes of JSON", INLINE_BYTES)
        else:
            found.parts.append(None)
            found.put_aside(position, content, value)
    return found


def _items(query: FragmentQuery, scope: Mapping[str, Value], budget: Budget) -> Found | FragmentRefused:
    """As many of the next items as fit, one at least; all of them stored where they do not fit together."""
    start = query.items_from or 0
    items = cast("list[JsonValue]", evaluate_items(query.exprs[0], scope, budget))
    if len(items) > query.most_items:
        message = f"The loop would make {len(items):,} turns, {query.most_items:,} are left to the run."
        return FragmentRefused(code="LIMIT_LOOP_ITERATIONS", message=message)
    found, left = Found(total=len(items)), INLINE_BYTES
    for position, item in enumerate(items[start:]):
        content = orjson.dumps(item)
        if len(content) > left and position > 0:
            break
        if len(content) > INLINE_BYTES:
            found.parts.append(None)
            found.put_aside(position, content, item)
            break
        left -= len(content)
        found.parts.append(item)
    if start == 0 and len(found.parts) < len(items):
        found.put_aside(_SOURCE, orjson.dumps(items), items)
    return found
