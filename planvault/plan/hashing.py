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
    try:
        canonical = orjson.dumps(_plain(value), option=orjson.OPT_SORT_KEYS)
    except _NotPlain:
        canonical = rfc8785.dumps(_exact(value))
    return hashlib.sha256(canonical).hexdigest()


def plan_hash(plan: Plan) -> str:
    """The identity of a plan: what an approval is bound to. Positions in the source do not count."""
    return canonical_hash(cast(JsonObject, plan.model_dump(mode="json")))


class _NotPlain(Exception):
    """Sorted compact JSON is not the canonical form of the value."""


def _plain(value: JsonValue) -> JsonValue:
    """The value with 30.0 as 30, whose sorted compact JSON is its canonical form: orjson writes it far faster.

    Raises _NotPlain where the forms differ: in how a fraction is spelled, in integers beyond 2⁵³, and in the order of
    keys beyond ASCII (UTF-16 code units there, UTF-8 bytes here). What is no Unicode is left to the other to refuse.
    """
    if isinstance(value, str):
        if value.isascii():
            return value
        raise _NotPlain
    if isinstance(value, dict):
        if all(map(str.isascii, value)):
            return {key: _plain(item) for key, item in value.items()}
        raise _NotPlain
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    if abs(value) <= _SAFE and value == int(value):
        return int(value)
    raise _NotPlain


def _exact(value: JsonValue) -> JsonValue:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _SAFE:
        return {"$int": str(value)}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    if isinstance(value, dict):
        return {key: _exact(item) for key, item in value.items()}
    return value
