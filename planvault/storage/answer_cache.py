"""Kept answers in Redis, beside their rows in Postgres: a repeat costs no database.

An entry is written after the row's commit, from the row, and ends before it; it is sealed whole, bound to the key that
it answers. What is missing, unreadable or too late is looked up in Postgres.

An answer that is erased leaves an empty entry, for as long as one could live: a repeat that read the row a moment
before may write it down a moment later, and writes only where nothing is.
"""

from __future__ import annotations

import hashlib

import orjson
import structlog

from planvault.errors import DecryptionFailed, Unavailable
from planvault.ports import Keyring, Seal
from planvault.storage.idempotency import Answer, AnswerScope, IdempotencyKey, KeptAnswer, place_of
from planvault.storage.redis_link import RedisLink

_log = structlog.get_logger(__name__)

_PREFIX = "planvault:answer:"
_MARGIN_S = 300.0  # an entry ends so long before its row, whatever the clocks say
_LARGEST = 256 * 1024  # bytes of an entry
_ERASED = b""
_ERASED_MS = 24 * 3_600 * 1_000  # the longest that Postgres keeps an answer


class RedisAnswers:
    """Implements AnswerCache."""

    def __init__(self, link: RedisLink, keyring: Keyring) -> None:
        self._link = link
        self._keyring = keyring

    async def recall(self, scope: AnswerScope, key: IdempotencyKey) -> KeptAnswer | None:
        entry = await self._link.ask("GET", _name(scope, key))
        if not isinstance(entry, bytes) or entry == _ERASED:
            return None
        cipher = await self._keyring.cipher(scope.org_id)
        try:
            kept = orjson.loads(cipher.open(entry, _seal(scope, key)))
        except DecryptionFailed:  # another key's, another platform's, or somebody's own: Postgres knows
            _log.warning("answer_cache.unreadable", org=str(scope.org_id))
            return None
        return KeptAnswer(bytes.fromhex(kept["bodySha256"]), Answer(kept["status"], kept["body"]))

    async def keep(self, scope: AnswerScope, key: IdempotencyKey, kept: KeptAnswer, left_s: float) -> None:
        """Remember an answer that Postgres keeps for `left_s` seconds more."""
        ends_in_ms = int((left_s - _MARGIN_S) * 1000)
        if ends_in_ms <= 0 or not self._link.is_up:
            return
        entry = {"bodySha256": kept.body_sha256.hex(), "status": kept.answer.status, "body": kept.answer.body}
        sealed = (await self._keyring.cipher(scope.org_id)).seal(orjson.dumps(entry), _seal(scope, key))
        if len(sealed) <= _LARGEST:
            await self._link.ask("SET", _name(scope, key), sealed, "PX", ends_in_ms, "NX")

    async def forget(self, scope: AnswerScope, key: IdempotencyKey) -> None:
        """The answer is gone when this returns, and stays gone. Raises Unavailable where Redis does not say so."""
        if await self._link.ask("SET", _name(scope, key), _ERASED, "PX", _ERASED_MS) is None:
            raise Unavailable("Redis does not answer: kept answers of the API cannot be erased there now.")


def _name(scope: AnswerScope, key: IdempotencyKey) -> str:
    """Nothing of the caller's stands in the name: neither its key nor its path."""
    return _PREFIX + hashlib.sha256(f"{scope.org_id}:{place_of(scope, key)}".encode()).hexdigest()


def _seal(scope: AnswerScope, key: IdempotencyKey) -> Seal:
    return Seal("table:idempotency", "idempotency_cache", place_of(scope, key), "answer")
