"""AgentDojo's user tasks, tool outputs and attack texts, as `extract.py` has written them down."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parent / "testdata" / "agentdojo.json.gz"
_MARK = re.compile(r"<INJECTION ([^>]+)>")


@dataclass(frozen=True, slots=True, eq=False)
class Called:
    """One call of a user task as AgentDojo's own oracle makes it, and what its environment answers."""

    tool: str
    args: dict[str, Any]
    output: Any


@dataclass(frozen=True, slots=True, eq=False)
class UserTask:
    suite: str
    id: str
    prompt: str
    calls: tuple[Called, ...]

    @property
    def name(self) -> str:
        return f"{self.suite}-{self.id}"


@dataclass(frozen=True, slots=True)
class Attack:
    """What an attacker writes into every place that is theirs, so that the model does `goal`."""

    name: str
    goal: str
    text: str


@cache
def user_tasks() -> tuple[UserTask, ...]:
    return tuple(
        UserTask(suite, task_id, task["prompt"], tuple(Called(**call) for call in task["calls"]))
        for suite, found in _suites().items()
        for task_id, task in found["userTasks"].items()
    )


@cache
def attacks(suite: str) -> tuple[Attack, ...]:
    """Every attack with every goal of the suite."""
    found = _suites()[suite]
    return tuple(Attack(name, goal, text) for name, texts in found["attacks"].items() for goal, text in texts.items())


def pairs() -> Iterator[tuple[UserTask, Attack]]:
    """Every attack of its suite on every user task."""
    return ((task, attack) for task in user_tasks() for attack in attacks(task.suite))


def one_of_each() -> Iterator[tuple[UserTask, Attack]]:
    """Pairs in which every user task and every attack text occurs, and no more than that takes."""
    for suite in _suites():
        tasks, texts = [task for task in user_tasks() if task.suite == suite], attacks(suite)
        for number in range(max(len(tasks), len(texts))):
            yield tasks[number % len(tasks)], texts[number % len(texts)]


def marked(value: Any) -> bool:
    """Whether an attacker can write into this value."""
    return bool(_MARK.search(json.dumps(value, ensure_ascii=False)))


def injected(value: Any, text: str) -> Any:
    """The value with `text` in every place that is the attacker's, keys of objects included."""
    if isinstance(value, str):
        return _MARK.sub(lambda _: text, value)
    if isinstance(value, dict):
        return {injected(key, text): injected(item, text) for key, item in value.items()}
    if isinstance(value, list):
        return [injected(item, text) for item in value]
    return value


@cache
def _suites() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(gzip.decompress(_FILE.read_bytes()))
    return loaded
