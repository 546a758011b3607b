"""What must be true after a kill, worked out from docs/recovery.md's table and from where the kill was.

The undisturbed run tells which appends there are and what each of them intends. Everything else follows: an intent
that is committed and has no result is in flight; whether its request left depends on the phase; what recovery does
depends on the tool's idempotency.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from models.tools import Idempotency
from tests.faults.boundaries import NOT_YET, ON_FILES, Boundary, Phase
from tests.faults.scenarios import KINDS, TOOLS

CALLED_AGAIN = {
    Idempotency.SAFE: True,
    Idempotency.DECLARED: True,
    Idempotency.KEYED: True,
    Idempotency.NONE: False,  # needs_manual_recovery
}
"""docs/recovery.md, the column "after a dead host"; a test holds the two together."""

EFFECTLESS = frozenset({"get_order", "get_stock"})
_UNSENT = frozenset({Phase.AFTER_APPEND, Phase.COMMITTED})


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of one call. `step` is node and iteration; appends count from 1."""

    step: str
    number: int
    tool: str
    intended_in: int
    recorded_in: int
    executed: bool  # the service did not refuse it


@dataclass(frozen=True, slots=True)
class Undisturbed:
    """The run that nothing happened to."""

    appends: int
    effects: Mapping[int, int]  # append → effects that started behind it
    attempts: tuple[Attempt, ...]

    def boundaries(self, *, on_files: bool = False) -> Iterator[Boundary]:
        for append in range(1, self.appends + 1):
            yield Boundary(append, Phase.BEFORE_APPEND)
            if on_files:
                yield from (Boundary(append, phase) for phase in ON_FILES)
            yield Boundary(append, Phase.AFTER_APPEND)
            for effect in range(self.effects.get(append, 0)):
                yield Boundary(append, Phase.DURING_EFFECT, effect)
                yield Boundary(append, Phase.AFTER_EFFECT, effect)

    def in_flight(self, boundary: Boundary) -> list[Attempt]:
        """Calls whose intent is committed and whose result is not."""
        committed = boundary.append - (boundary.phase in NOT_YET)
        return [found for found in self.attempts if found.intended_in <= committed < found.recorded_in]

    def was_sent(self, attempt: Attempt, boundary: Boundary) -> bool:
        """Only between the intent's commit and the effect has no request left yet."""
        return not (boundary.phase in _UNSENT and attempt.intended_in == boundary.append)


@dataclass(frozen=True, slots=True)
class Expected:
    """By tool: requests and effects that the service counts."""

    requests: Counter[str]
    effects: Counter[str]
    asks_operator: bool


def undisturbed(trace: Sequence[Mapping[str, Any]]) -> Undisturbed:
    """Read off what the armed host told: its appends with their events, and the effects behind each."""
    open_attempts: dict[str, tuple[str, int]] = {}
    attempts: list[Attempt] = []
    effects: Counter[int] = Counter()
    appends = 0
    for news in trace:
        if "effect" in news:
            effects[news["append"]] += 1
            continue
        appends = news["append"]
        intended = ""
        for event in news["events"]:
            payload = event["payload"]
            if event["type"] == "effect_intended" and payload["kind"] == "call":
                intended = payload["effectId"]
            elif event["type"] == "tool_start" and intended:
                open_attempts[intended], intended = (payload["tool"], appends), ""
            elif event["type"] == "effect_recorded" and payload["effectId"] in open_attempts:
                tool, intended_in = open_attempts.pop(payload["effectId"])
                _, node, iteration, number = payload["effectId"].split(":")
                result = payload.get("result", {"ok": True})  # a read that was made before its turn has it elsewhere
                ok = result["ok"] or result["failure"] == "answered"
                attempts.append(Attempt(f"{node}:{iteration}", int(number), tool, intended_in, appends, ok))
    assert not open_attempts, "the undisturbed run left calls without a result"
    return Undisturbed(appends, effects, tuple(attempts))


def expected(story: Undisturbed, boundary: Boundary) -> Expected:
    requests = Counter(found.tool for found in story.attempts if found.tool in KINDS)
    effects = Counter(found.tool for found in story.attempts if found.executed and found.tool in KINDS)
    asks = False
    for lost in story.in_flight(boundary):
        if lost.tool not in KINDS:
            continue
        sent = story.was_sent(lost, boundary)
        if CALLED_AGAIN[TOOLS[lost.tool]]:
            # A request that the service refused is its first one either way; one that it executed comes once more.
            requests[lost.tool] += sent and lost.executed
            effects[lost.tool] += sent and lost.executed and TOOLS[lost.tool] is not Idempotency.KEYED
        else:
            asks = True
            later = [found for found in story.attempts if found.step == lost.step and found.number > lost.number]
            requests[lost.tool] -= (not sent) + len(later)
            effects[lost.tool] -= 0 if sent and lost.executed else 1
    for tool in EFFECTLESS:
        del effects[tool]
    return Expected(+requests, +effects, asks)


def observed(verdict: Mapping[str, Any]) -> tuple[Counter[str], Counter[str]]:
    """Requests and effects by tool, as the service counted them."""
    tools = {kind: tool for tool, kind in KINDS.items()}
    requests = Counter(tools[request["kind"]] for request in verdict["requests"])
    effects: Counter[str] = Counter()
    for what, times in verdict["effects"].items():
        effects[tools[what.split(" ")[0]]] += times
    return requests, effects
