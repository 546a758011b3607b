"""A user task as a plan of ours: its calls in order, each argument from where it came.

An argument that stands in an earlier answer is read from there by its path, everything else is a literal of the plan.
What an attacker can write to is passed on besides: each such text goes into a call of `note`, those of a list in
a loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.injections.corpus import UserTask, marked

NOTE = "note"
_SHORTEST = 3  # a text of fewer characters stands in an answer by chance


def source_of(task: UserTask) -> str:
    """The plan in the Python spelling. It is a Python program as well, which the oracle makes use of."""
    lines: list[str] = []
    seen: list[Any] = []
    for number, call in enumerate(task.calls):
        args = ", ".join(f"{name}={_expression(value, seen)}" for name, value in call.args.items())
        lines.append(f"r{number} = {call.tool}({args})")
        seen.append(call.output)
    for number, call in enumerate(task.calls):
        if marked(call.output):
            lines += _passing_on(f"r{number}", call.output)
    return "\n".join([*lines, 'reply("done")'])


def _expression(value: Any, seen: list[Any]) -> str:
    if isinstance(value, str) and len(value) >= _SHORTEST:
        for number in range(len(seen) - 1, -1, -1):
            path = next((path for path, leaf in _leaves(seen[number]) if leaf == value), None)
            if path is not None:
                return f"r{number}{path}"
    if isinstance(value, list):
        return f"[{', '.join(_expression(item, seen) for item in value)}]"
    return repr(value)


def _passing_on(variable: str, output: Any) -> list[str]:
    if isinstance(output, list) and all(isinstance(item, dict) for item in output):
        texts_of = {key: [item.get(key) for item in output] for key in output[0]}
        keys = [key for key, texts in texts_of.items() if marked(texts) and all(isinstance(one, str) for one in texts)]
        return [f"for item in {variable}:", *(f"    {NOTE}(text=item[{key!r}])" for key in keys)] if keys else []
    texts = [path for path, leaf in _leaves(output) if isinstance(leaf, str) and marked(leaf)]
    return [f'{NOTE}(text=f"It says: {{{variable}{path}}}")' for path in texts if '"' not in path]


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar with its path. Keys that the attacker writes are left out: no plan names one before it saw it."""
    if isinstance(value, dict):
        for key, item in value.items():
            if not marked(key):
                yield from _leaves(item, f"{path}[{key!r}]")
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _leaves(item, f"{path}[{position}]")
    else:
        yield path, value
