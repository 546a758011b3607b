"""The outside world of a simulation: what a tool answers is a function of the seed, the step, and what was written.

A read's answer counts the writes before it: one that is made on the wrong side of a write is found out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from random import Random
from typing import cast
from uuid import UUID

from models.base import JsonValue
from models.ids import BlobId, ToolId
from models.results import FragmentAnswer, FragmentRefused, Stored
from models.tools import (
    ApprovalPolicy,
    Idempotency,
    RiskClass,
    ToolCallFailure,
    ToolFailed,
    ToolSucceeded,
)
from models.values import Value
from planvault.engine.effects import CallTool, Fragment
from planvault.engine.pauses import SLEEP, WAIT_FOR_SIGNAL
from planvault.engine.state import ToolFacts, ToolPin
from planvault.tools.fragments import evaluated
from tests.simulation.plans import PAUSES, READS, WRITES

_KINDS: Mapping[str, tuple[Idempotency, RiskClass]] = {
    "write_none": (Idempotency.NONE, RiskClass.WRITE),
    "write_keyed": (Idempotency.KEYED, RiskClass.MONEY),
    "write_declared": (Idempotency.DECLARED, RiskClass.WRITE),
    "read_none": (Idempotency.NONE, RiskClass.READ),
    "write_safe": (Idempotency.SAFE, RiskClass.WRITE),
    **dict.fromkeys((*READS, *PAUSES), (Idempotency.SAFE, RiskClass.READ)),
}


def _facts(number: int, name: str) -> ToolFacts:
    idempotency, risk = _KINDS[name]
    return ToolFacts(
        pin=ToolPin(id=ToolId(UUID(int=number + 1)), version=1, name=name),
        summary=name,
        risk=risk,
        idempotency=idempotency,
        approval_policy=ApprovalPolicy.DEFAULT,
        timeout_s=10,
        native={"pause_signal": WAIT_FOR_SIGNAL, "pause_sleep": SLEEP}.get(name),
    )


FACTS: tuple[ToolFacts, ...] = tuple(_facts(number, name) for number, name in enumerate((*READS, *WRITES, *PAUSES)))
BY_NAME: Mapping[str, ToolFacts] = {facts.pin.name: facts for facts in FACTS}


_SOURCE = -1  # in a fragment's answer: the list that a loop goes through


def step_of(effect: CallTool) -> str:
    """Node and iteration of a call, without run and attempt."""
    return effect.effect_id.split(":", 1)[1].rsplit(":", 1)[0]


def draw(*key: object) -> Random:
    """Chance that depends on the key alone, whatever else was drawn before."""
    return Random(hashlib.blake2b(repr(key).encode(), digest_size=8).digest())


@dataclass(frozen=True)
class Odds:
    """Of an attempt's ways to fail; the rest succeeds."""

    answered: float = 0.03
    rejected: float = 0.01
    refused: float = 0.04
    not_sent: float = 0.04
    unknown: float = 0.05
    credential: float = 0.0


@dataclass
class Service:
    seed: int
    odds: Odds = Odds()
    stored_share: float = 0.0  # of results that are too large for the record
    writes: int = 0
    blobs: dict[BlobId, Value] = field(default_factory=dict)
    requests: list[tuple[str, str, Mapping[str, object]]] = field(default_factory=list)  # that arrived

    def answer(self, effect: CallTool) -> ToolSucceeded | ToolFailed:
        """Do the call now, and say how it will look from here."""
        chance = draw(self.seed, step_of(effect), effect.attempt)
        failure = self._failure(chance)
        reaches = failure in {None, ToolCallFailure.ANSWERED} or (
            failure is ToolCallFailure.UNKNOWN and chance.random() < 0.5
        )
        value = self._value(effect)
        if reaches:
            self.requests.append((effect.effect_id, effect.pin.name, effect.args))
            self.writes += effect.pin.name not in READS
        if failure is None:
            return self._succeeded(effect, value)
        retry_after = chance.choice([None, 0.0, 5.0]) if failure is ToolCallFailure.REFUSED else None
        return ToolFailed(failure=failure, code="X", message="it went wrong", retry_after_s=retry_after)

    def _succeeded(self, effect: CallTool, value: JsonValue) -> ToolSucceeded:
        if draw(self.seed, effect.effect_id, "stored").random() >= self.stored_share:
            return ToolSucceeded(value=value, duration_ms=1.0)
        return ToolSucceeded(stored=self._store(effect.effect_id, value), duration_ms=1.0)

    def _store(self, name: str, value: JsonValue) -> Stored:
        blob_id = BlobId(UUID(int=draw(self.seed, name, "blob").getrandbits(120)))
        self.blobs[blob_id] = cast("Value", value)
        return Stored(blob_id=blob_id, size=1, sha256="", media_type="application/json")

    def fragment(self, effect: Fragment) -> FragmentAnswer:
        """What a worker process would find. The items of a loop come in portions of two."""
        query = effect.query
        scope = {name: self.blobs[stored.blob_id] for name, stored in query.stored.items()}
        found = evaluated(query, {**cast("Mapping[str, Value]", query.inline), **scope})
        if isinstance(found, FragmentRefused):
            return found
        items = found.parts
        if query.items_from is None or len(items) <= 2:
            return found.answer({})
        few = replace(found, parts=items[:2])
        return few.answer({_SOURCE: self._store(effect.effect_id, items)} if query.items_from == 0 else {})

    def _failure(self, chance: Random) -> ToolCallFailure | None:
        odds = self.odds
        weights = [odds.answered, odds.rejected, odds.refused, odds.not_sent, odds.unknown, odds.credential]
        kinds: list[ToolCallFailure | None] = [
            ToolCallFailure.ANSWERED,
            ToolCallFailure.REJECTED,
            ToolCallFailure.REFUSED,
            ToolCallFailure.NOT_SENT,
            ToolCallFailure.UNKNOWN,
            ToolCallFailure.CREDENTIAL,
            None,
        ]
        return chance.choices(kinds, [*weights, 1 - sum(weights)])[0]

    def _value(self, effect: CallTool) -> JsonValue:
        chance = draw(self.seed, effect.pin.name, sorted(effect.args.items()), self.writes)
        items: list[JsonValue] = [{"id": number, "n": chance.randint(0, 9)} for number in range(chance.randint(0, 4))]
        return {"n": chance.randint(0, 9), "items": items, "ok": chance.random() < 0.5, "writes": self.writes}
