"""Random plans with faults through the pure engine.

`make test` lives a few hundred seeds, others every day, so that all 100,000 come up in a year;
`PLANVAULT_SIMULATION_SEEDS=0:100000` lives them at once (a quarter of an hour).
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from models.runs import RunStatus
from models.tools import Idempotency
from planvault.engine import ahead, calls, decide, lifecycle, scout
from tests.simulation.life import Life
from tests.simulation.run import Failure, run

_ALL = 100_000
_A_DAY = 300


def _seeds() -> range:
    given = os.environ.get("PLANVAULT_SIMULATION_SEEDS")
    if given:
        first, end = map(int, given.split(":"))
        return range(first, end)
    first = int(time.time() // 86_400) * _A_DAY % _ALL
    return range(first, first + _A_DAY)


@pytest.mark.timeout(7_200)
def test_every_invariant_holds_through_every_life() -> None:
    assert run(_seeds()) > 0


def test_a_seed_lives_the_same_life_again() -> None:
    assert [Life(seed).live() for seed in range(40)] == [Life(seed).live() for seed in range(40)]


def test_a_seed_lives_the_same_life_in_another_process() -> None:
    """Where texts hash otherwise, so that sets have another order."""
    code = "from tests.simulation.life import Life; print(*[Life(seed).live() for seed in range(20)])"
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert told.stdout.split() == [Life(seed).live() for seed in range(20)]


def test_the_lives_say_something() -> None:
    """Every way to end and to wait comes up: else the test above proves little."""
    seen: set[RunStatus] = set()
    for seed in range(400):
        life = Life(seed)
        life.live()
        seen |= life.holds.statuses
        if seen == set(RunStatus):
            break
    assert seen == set(RunStatus)


def _nothing(*_: Any, **__: Any) -> None:
    return None


@pytest.mark.parametrize(
    ("where", "name", "broken", "found"),
    [
        (calls, "_REPEATABLE", frozenset(Idempotency), "may have been executed"),
        (scout, "is_read", lambda facts, call: True, "is no read, and not alone"),
        (ahead, "_room", lambda run: 20, "more calls than the limit allows"),
        (decide, "reissue", _nothing, "goes out twice"),
        (lifecycle, "abandon", _nothing, "nobody knows what became of"),
        (decide, "end_if_cancelled", _nothing, "waits for nothing"),
        (decide, "lost", _nothing, "goes out twice"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_engine_that_breaks_a_rule_is_found_out(
    monkeypatch: pytest.MonkeyPatch, where: Any, name: str, broken: Callable[..., Any], found: str
) -> None:
    monkeypatch.setattr(where, name, broken)
    with pytest.raises(Failure, match=found):
        run(range(3_000))


def test_a_life_that_fails_says_how_it_is_lived_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_REPEATABLE", frozenset(Idempotency))
    with pytest.raises(Failure) as failed:
        run(range(3_000))
    assert f"python -m tests.simulation --seed {failed.value.seed}" in str(failed.value)
    with pytest.raises(AssertionError, match="may have been executed"):
        Life(failed.value.seed).live()
