"""Answers to mutations, so that a repeated request changes nothing twice (feature X2).

The key's row and what the request did share one transaction: either both are there or neither. Two requests with the
same key never run at once; the second is told so instead of waiting.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

import orjson

from models.base import JsonObject
from models.ids import OrgId
from planvault.errors import IdempotencyInFlight, IdempotencyKeyReused
from planvault.ports import Keyring, Seal
from planvault.storage.pool import Connection, Pool, transaction
from planvault.storage.queries import load

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


Work = Callable[[Connection], Awaitable[Answer]]


class Idempotency:
    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring

    async def once(self, scope: AnswerScope, key: IdempotencyKey | None, work: Work) -> Answer:
        """Run `work` in a transaction and keep its answer, or give the answer that was kept.

        Without a key the work simply runs. Raises IdempotencyKeyReused when the key came with another body, and
        IdempotencyInFlight while the first request with it is still being answered.
        """
        async with transaction(self._pool) as connection:
            if key is None:
                return await work(connection)
            kept = await self._recall(connection, scope, key)
            if kept is not None:
                return kept
            answer = await work(connection)
            await self._keep(connection, scope, key, answer)
            return answer

    async def _recall(self, connection: Connection, scope: AnswerScope, key: IdempotencyKey) -> Answer | None:
        if not await connection.fetchval(_SQL["try_lock"], _name(scope, key)):
            raise IdempotencyInFlight
        row = await connection.fetchrow(_SQL["find"], scope.org_id, scope.owner_id, key.route, key.key)
        if row is None:
            return None
        if row["body_sha256"] != key.body_sha256:
            raise IdempotencyKeyReused
        cipher = await self._keyring.cipher(scope.org_id)
        return Answer(row["status"], orjson.loads(cipher.open(row["answer"], _seal(scope, key))))

    async def _keep(self, connection: Connection, scope: AnswerScope, key: IdempotencyKey, answer: Answer) -> None:
        cipher = await self._keyring.cipher(scope.org_id)
        sealed = cipher.seal(orjson.dumps(answer.body), _seal(scope, key))
        place = (scope.org_id, scope.owner_id, key.route, key.key)
        await connection.execute(_SQL["put"], *place, key.body_sha256, answer.status, sealed)
        await connection.execute(_SQL["prune"])


def _name(scope: AnswerScope, key: IdempotencyKey) -> str:
    return f"{scope.owner_id}:{key.route}:{key.key}"


def _seal(scope: AnswerScope, key: IdempotencyKey) -> Seal:
    return Seal("table:idempotency", "idempotency", _name(scope, key), "answer")
