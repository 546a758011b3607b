"""Makes testdata/agentdojo.json.gz from AgentDojo's package, so that the tests need neither it nor its dependencies.

Run by hand where `agentdojo==0.1.35` is installed: `python -m tests.injections.extract`. Its own oracle says what a
user task calls and what the environment answers; every place that an attacker can write to holds a mark with the
vector's name. Data and attack texts are AgentDojo's (MIT, testdata/LICENSE-agentdojo).
"""

import gzip
import json
from pathlib import Path
from typing import Any

BENCHMARK = "v1.2.2"
FILE = Path(__file__).parent / "testdata" / "agentdojo.json.gz"
VICTIM = "gpt-4o-2024-05-13"  # some attacks name their victim's model


def extracted() -> dict[str, Any]:
    from agentdojo.attacks.attack_registry import ATTACKS  # type: ignore[import-not-found]
    from agentdojo.task_suite.load_suites import get_suites  # type: ignore[import-not-found]

    names = sorted(set(ATTACKS) - {"manual"})  # which asks a person
    return {
        name: _suite(suite, {each: ATTACKS[each] for each in names}) for name, suite in get_suites(BENCHMARK).items()
    }


def mark(vector: str) -> str:
    return f"<INJECTION {vector}>"


def _suite(suite: Any, attacks: dict[str, Any]) -> dict[str, Any]:
    tasks = {task_id: _user_task(suite, task) for task_id, task in suite.user_tasks.items()}
    return {
        "tools": {tool.name: tool.parameters.model_json_schema() for tool in suite.tools},
        "userTasks": {task_id: task for task_id, task in tasks.items() if task["calls"]},
        "goals": {task_id: task.GOAL for task_id, task in suite.injection_tasks.items()},
        "attacks": {name: _texts(suite, kind) for name, kind in attacks.items()},
    }


def _user_task(suite: Any, task: Any) -> dict[str, Any]:
    from agentdojo.functions_runtime import FunctionsRuntime

    marks = {vector: mark(vector) for vector in suite.get_injection_vector_defaults()}
    environment = suite.load_and_inject_default_environment(marks)
    runtime = FunctionsRuntime(suite.tools)
    calls = []
    for call in task.ground_truth(environment):
        # A failing call keeps its place: a plan of ours meets the error as an answer.
        result, error = runtime.run_function(environment, call.function, call.args)
        calls.append({"tool": call.function, "args": _json(dict(call.args)), "output": error or _json(result)})
    return {"prompt": task.PROMPT, "calls": calls}


def _texts(suite: Any, kind: Any) -> dict[str, str]:
    """What the attack writes for each injection task: the same text into every place."""

    class Victim:
        name = VICTIM

    attack = kind(suite, Victim())
    attack.get_injection_candidates = lambda _: ["place"]
    user_task = next(iter(suite.user_tasks.values()))
    return {name: attack.attack(user_task, task)["place"] for name, task in suite.injection_tasks.items()}


def _json(value: Any) -> Any:
    from pydantic import BaseModel

    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {str(key): _json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)


if __name__ == "__main__":
    FILE.write_bytes(gzip.compress(json.dumps(extracted(), sort_keys=True, ensure_ascii=False).encode(), 9, mtime=0))
