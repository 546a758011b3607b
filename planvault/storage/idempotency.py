"""Answers to mutations, so that a repeated request changes nothing twice (feature X2).

The key's row and what the request did share one transaction: either both are there or neither. Two requests with the
same key never run at once; the second is told so instead of waiting. A cache, where there is one, only repeats what a
committed row says.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import orjson

from models.base import JsonObject
from models.ids import OrgId
from models.tenants import OrgScope
from planvault.errors import IdempotencyInFlight, IdempotencyKeyReused
from planvault.ports import Keyring, Seal
from planvault.storage.pool import Connection, Pool
from planvault.storage.queries import load
from planvault.storage.tenancy import within

_SQL = load("planvault.storage", "sql/idempotency.sql")


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """What a client calls one mutation. `route` is method and path, so that a key names one call of one resource."""

    route: str
    key: str
    body_sha256: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as it goes over the wire; `body` None is an empty one."""

    status: int
    body: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class AnswerScope:
    """Whose keys these are: a project's, or for routes above projects the organisation's own."""

    org_id: OrgId
    owner_id: UUID  # project id, or the organisation's id


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """An answer, and the body that it answers."""

    body_sha256: bytes
    answer: Answer

    def to(self, key: IdempotencyKey) -> Answer:
        """Raises IdempotencyKeyReused where the key came with another body."""
        if self.body_sha256 != key.body_sha256:
            raise IdempotencyKeyReused
        return self.answer


class AnswerCache(Protocol):
    """Repeats answers without the database. It may forget, and must never know one that is not committed."""

    async def recall(self, scope: AnswerScope, key: IdempotencyKey) -> KeptAnswer | None: ...

    async def keep(self, scope: AnswerScope, key: IdempotencyKey, kept: KeptAnswer, left_s: float) -> None:
        """`left_s`: seconds for which Postgres keeps it."""
        ...


Work = Callable[[Connection], Awaitable[Answer]]

_KEPT_S = 24 * 3600.0  # as sql/idempotency.sql says


class Idempotency:
    def __init__(self, pool: Pool, keyring: Keyring, cache: AnswerCache | None = None) -> None:
        self._pool = pool
        self._keyring = keyring
        self._cache = cache

    async def once(self, scope: AnswerScope, key: IdempotencyKey | None, work: Work) -> Answer:
        """Run `work` in a transaction and keep its answer, or give the answer that was kept.

        Without a key the work simply runs. Raises IdempotencyKeyReused when the key came with another body, and
        IdempotencyInFlight while the first request with it is still being answered.
        """
        if key is None:
            async with within(self._pool, OrgScope(org_id=scope.org_id)) as connection:
                return await work(connection)
        cached = await self._cache.recall(scope, key) if self._cache is not None else None
        if cached is not None:
            return cached.to(key)
        async with within(self._pool, OrgScope(org_id=scope.org_id)) as connection:
            found = await self._recall(connection, scope, key)
            if found is None:
                kept, left_s = KeptAnswer(key.body_sha256, await work(connection)), _KEPT_S
                await self._keep(connection, scope, key, kept.answer)
            else:
                kept, left_s = found
        if self._cache is not None:  # only now: the row is committed
            await self._cache.keep(scope, key, kept, left_s)
        return kept.to(key)

    async def _recall(
        self, connection: Connection, scope: AnswerScope, key: IdempotencyKey
    ) -> tuple[KeptAnswer, float] | None:
        """What Postgres has, and the seconds for which it keeps it."""
        if not await connection.fetchval(_SQL["try_lock"], place_of(scope, key)):
            raise IdempotencyInFlight
        row = await connection.fetchrow(_SQL["find"], scope.org_id, scope.owner_id, key.route, key.key)
        if row is None:
            return None
        cipher = await self._keyring.cipher(scope.org_id)
        answer = Answer(row["status"], orjson.loads(cipher.open(row["answer"], answer_seal(scope, key))))
        return KeptAnswer(row["body_sha256"], answer), row["left_s"]

    async def _keep(self, connection: Connection, scope: AnswerScope, key: IdempotencyKey, answer: Answer) -> None:
        cipher = await self._keyring.cipher(scope.org_id)
        sealed = cipher.seal(orjson.dumps(answer.body), answer_seal(scope, key))
        place = (scope.org_id, scope.owner_id, key.route, key.key)
        await connection.execute(_SQL["put"], *place, key.body_sha256, answer.status, sealed)


def place_of(scope: AnswerScope, key: IdempotencyKey) -> str:
    """What one key names: unique among the keys of all tenants."""
    return f"{scope.owner_id}:{key.route}:{key.key}"


def answer_seal(scope: AnswerScope, key: IdempotencyKey) -> Seal:
    """Where an answer is encrypted."""
    return Seal("table:idempotency", "idempotency", place_of(scope, key), "answer")
