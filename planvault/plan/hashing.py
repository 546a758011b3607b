"""Hashes that mean the same everywhere: SHA-256 over RFC 8785 canonical JSON."""

import hashlib
from typing import cast

import rfc8785

from models.base import JsonObject, JsonValue
from models.plans import Plan

_SAFE = 2**53 - 1  # beyond it RFC 8785 has no integers: they would be rounded


def canonical_hash(value: JsonObject) -> str:
    """Hex SHA-256 of the canonical form; equal values hash equally whatever their key order.

    Integers that a double cannot hold are hashed as `{"$int": "digits"}`, because RFC 8785 would reject them.
    """
    return hashlib.sha256(rfc8785.dumps(_exact(value))).hexdigest()


def plan_hash(plan: Plan) -> str:
    """The identity of a plan: what an approval is bound to. Positions in the source do not count."""
    return canonical_hash(cast(JsonObject, plan.model_dump(mode="json")))


def _exact(value: JsonValue) -> JsonValue:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _SAFE:
        return {"$int": str(value)}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    if isinstance(value, dict):
        return {key: _exact(item) for key, item in value.items()}
    return value
