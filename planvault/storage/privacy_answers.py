"""Kept answers of the API that concern whom an erasure is about: their rows, and what Redis repeats of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import orjson

from planvault.errors import DecryptionFailed
from planvault.ports import Keyring, OrgCipher
from planvault.privacy.mentions import Mentions
from planvault.storage.answer_cache import RedisAnswers
from planvault.storage.idempotency import AnswerScope, IdempotencyKey, answer_seal
from planvault.storage.pool import Connection, Pool
from planvault.storage.privacy import Detail
from planvault.storage.privacy_claims import Claim, position_of, set_position
from planvault.storage.queries import load
from planvault.storage.tenancy import within

_SQL = load("planvault.storage", "sql/privacy_erasure.sql")
_ANSWERS = 200
# As callers may spell one in a path: in capitals, without its hyphens.
_ID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)


class AnswerErasure:
    """`cache` None: there is no Redis."""

    def __init__(self, pool: Pool, keyring: Keyring, cache: RedisAnswers | None) -> None:
        self._pool = pool
        self._keyring = keyring
        self._cache = cache
        self._marked: tuple[object, frozenset[UUID]] = (None, frozenset())

    async def portion(self, claim: Claim, detail: Detail, *, final: bool) -> bool:
        """One page of the organisation's answers; whether there are more.

        Answers just given are left to the `final` walk: whoever gave one may be about to put it into Redis. Raises
        Unavailable where Redis does not confirm that it has forgotten.
        """
        cipher = await self._keyring.cipher(claim.request.org_id)
        async with within(self._pool, claim.scope) as connection:
            after = (await position_of(connection, claim)).get("answers", [str(UUID(int=0)), "", ""])
            assert isinstance(after, list)
            start = (UUID(str(after[0])), str(after[1]), str(after[2]))
            rows = await connection.fetch(_SQL["answers"], claim.request.org_id, *start, _ANSWERS)
            marked = await self._marked_by(connection, claim)
        mentions = Mentions(*detail.identifiers) if detail.identifiers else None
        found = [row for row in rows if (final or row["settled"]) and _concerns(claim, row, cipher, marked, mentions)]
        await self._forget(claim, found)
        async with within(self._pool, claim.scope) as connection:
            names = [[row[name] for row in found] for name in ("project_id", "route", "key")]
            await connection.execute(_SQL["forget_answers"], claim.request.org_id, *names)
            if rows:
                last = rows[-1]
                position = [str(last["project_id"]), last["route"], last["key"]]
                await set_position(connection, claim, {"answers": position})
            await claim.progress(connection, {"idempotency": len(found)})
        return len(rows) == _ANSWERS

    async def _marked_by(self, connection: Connection, claim: Claim) -> frozenset[UUID]:
        """Ids that tell an answer as one of the target's. None is added while it is erased: asked for once a stage."""
        asked = (claim.request.id, claim.request.stage, claim.request.attempts)
        if self._marked[0] != asked:
            rows = await connection.fetch(_SQL["marked_ids"], *claim.target, claim.request.id)
            project = {claim.request.project_id} if claim.request.project_id is not None else set()
            self._marked = asked, frozenset({*(row["id"] for row in rows), *project})
        return self._marked[1]

    async def _forget(self, claim: Claim, found: Sequence[Any]) -> None:
        """Redis first: its entries are found by their rows."""
        if self._cache is None:
            return
        for row in found:
            scope = AnswerScope(claim.request.org_id, row["project_id"])
            await self._cache.forget(scope, IdempotencyKey(row["route"], row["key"], b""))


def _concerns(claim: Claim, row: Any, cipher: OrgCipher, marked: frozenset[UUID], mentions: Mentions | None) -> bool:
    if row["project_id"] == claim.request.project_id:
        return True
    if marked.intersection(map(UUID, _ID.findall(row["route"]))):
        return True
    scope = AnswerScope(claim.request.org_id, row["project_id"])
    place = answer_seal(scope, IdempotencyKey(row["route"], row["key"], b""))
    try:
        text = cipher.open(row["answer"], place).decode()
    except DecryptionFailed:
        return False  # of a key that is destroyed: it holds nothing any more
    if marked.intersection(map(UUID, _ID.findall(text))):
        return True
    return mentions is not None and (mentions.in_text(row["key"]) or mentions.in_json(orjson.loads(text)))
