"""Hashes that mean the same everywhere: SHA-256 over RFC 8785 canonical JSON."""

import hashlib
from typing import cast

import orjson
import rfc8785

from models.base import JsonObject, JsonValue
from models.plans import Plan

_SAFE = 2**53 - 1  # beyond it RFC 8785 has no integers: they would be rounded


def canonical_hash(value: JsonObject) -> str:
    """Hex SHA-256 of the canonical form; equal values hash equally whatever their key order.

    Integers that a double cannot hold are hashed as `{"$int": "digits"}`, because RFC 8785 would reject them.
    """
    if _is_plain(value):
        return hashlib.sha256(orjson.dumps(value, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return hashlib.sha256(rfc8785.dumps(_exact(value))).hexdigest()


def plan_hash(plan: Plan) -> str:
    """The identity of a plan: what an approval is bound to. Positions in the source do not count."""
    return canonical_hash(cast(JsonObject, plan.model_dump(mode="json")))


def _is_plain(value: JsonValue) -> bool:
    """Whether sorted compact JSON is its canonical form already, as that of most plans is: orjson writes it far faster.

    The forms differ in how numbers with a fraction are spelled, in integers beyond 2⁵³, and in the order of keys beyond
    ASCII (UTF-16 code units there, UTF-8 bytes here); what is no Unicode is left to the slow path to refuse.
    """
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, str):
            if not current.isascii():
                return False
        elif isinstance(current, dict):
            waiting.extend(current)
            waiting.extend(current.values())
        elif isinstance(current, list):
            waiting.extend(current)
        elif isinstance(current, float) or (isinstance(current, int) and abs(current) > _SAFE):
            return False
    return True


def _exact(value: JsonValue) -> JsonValue:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _SAFE:
        return {"$int": str(value)}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    if isinstance(value, dict):
        return {key: _exact(item) for key, item in value.items()}
    return value
