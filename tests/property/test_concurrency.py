"""Reads before their turn change nothing that anybody sees (X8): random plans, told with and without them."""

from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from models.policies import RunLimits
from models.runtime_policy import RuntimePolicy
from planvault.engine import ahead, evolve, scout
from tests.simulation.calm import CalmRun, both
from tests.simulation.plans import READS, SHARE, random_plan
from tests.simulation.platform import COUNTING, RULES

_EACH = 150  # plans a test


def _limits(chance: Random) -> RunLimits:
    return RunLimits(
        max_parallel_calls=chance.choice([2, 3, 16]),
        max_tool_calls=chance.choice([3, 8, 200, 200, 200]),
        max_loop_iterations=chance.choice([4, 1_000, 1_000]),
        max_attempts=chance.choice([1, 2, 3]),
    )


def _told(seed: int) -> tuple[CalmRun, CalmRun]:
    """Plans of calls alone, and such with signals, sleeps, rules and results that are stored apart."""
    chance = Random(seed)
    limits, rich = _limits(chance), seed % 2 == 1
    plan = random_plan(chance, {**SHARE, "pause": 1.5} if rich else SHARE)
    policy = chance.choice([RULES, COUNTING, RuntimePolicy()]) if rich else RuntimePolicy()
    return both(plan, seed, limits, policy, chance, chance.choice([0.0, 0.3]) if rich else 0.0)


@pytest.mark.parametrize("first", range(0, 4 * _EACH, _EACH))
def test_history_and_outcome_equal_those_of_one_call_after_the_other(first: int) -> None:
    for seed in range(first, first + _EACH):
        sequential, concurrent = _told(seed)
        assert concurrent.history == sequential.history, f"seed {seed}"
        assert concurrent.done == sequential.done, f"seed {seed}"


@pytest.mark.parametrize("first", range(0, 4 * _EACH, _EACH))
def test_what_is_no_read_is_requested_in_the_same_order_with_the_same_arguments(first: int) -> None:
    for seed in range(first, first + _EACH):
        sequential, concurrent = _told(seed)
        assert concurrent.effective == sequential.effective, f"seed {seed}"


def test_the_plans_say_something() -> None:
    """Most have reads that overlap, many have writes, and both ends occur: else the tests above prove little."""
    told = [_told(seed)[1] for seed in range(200)]
    assert sum(run.most_in_flight > 1 for run in told) > 60
    assert sum(bool(run.effective) for run in told) > 50
    assert {run.done["status"] for run in told} >= {"completed", "failed"}
    assert max(run.most_in_flight for run in told) == 16


def test_no_more_reads_are_in_flight_than_the_limit_says() -> None:
    for seed in range(_EACH):
        _, concurrent = _told(seed)
        assert concurrent.most_in_flight <= concurrent.limits.max_parallel_calls


def test_reads_that_the_run_needs_are_made_once() -> None:
    for seed in range(_EACH):
        sequential, concurrent = _told(seed)
        needed = [effect_id for effect_id, tool, _ in sequential.service.requests if tool in READS]
        made = [effect_id for effect_id, tool, _ in concurrent.service.requests if tool in READS]
        assert set(needed) <= set(made)
        assert len(made) == len(set(made))


@pytest.mark.parametrize(
    ("where", "name", "broken"),
    [
        (scout, "is_read", lambda facts, call: True),
        (scout._Scout, "forget", lambda walk, name: None),
        (ahead, "has_rules", lambda run: False),
    ],
    ids=["writes are made before their turn", "unknowns keep an old value", "rules are not asked"],
)
def test_looking_ahead_wrongly_is_found_out(
    monkeypatch: pytest.MonkeyPatch, where: Any, name: str, broken: Callable[..., Any]
) -> None:
    monkeypatch.setattr(where, name, broken)
    monkeypatch.setattr(evolve, "is_read", scout.is_read)
    assert any(_differs(*_told(seed)) for seed in range(1_000))


def _differs(sequential: CalmRun, concurrent: CalmRun) -> bool:
    return concurrent.history != sequential.history or concurrent.effective != sequential.effective
