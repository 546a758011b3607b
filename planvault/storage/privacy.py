"""Requests for export and erasure: made, found, listed, cancelled. Working them off is `privacy_work`'s part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import asyncpg
import orjson

from models.ids import OrgId, ProjectId, UserId
from models.privacy import Person, PrivacyRequest, RequestKind, RequestState, Target
from models.tenants import OrgScope
from planvault.errors import Conflict, NotFound
from planvault.policy.voting import person as spelled
from planvault.ports import Ids, Keyring, OrgCipher, Seal
from planvault.storage.pool import Connection, Pool
from planvault.storage.queries import load
from planvault.storage.tenancy import scoped

_COLUMNS = (
    "id, org_id, kind, target, project_id, subjects, voters, state, stage, counts, error, attempts, created_at, "
    "started_at, finished_at, size, chunks, sha256, expires_at"
)
SQL = {name: text.replace("{columns}", _COLUMNS) for name, text in load("planvault.storage", "sql/privacy.sql").items()}


class Pseudonyms(Protocol):
    async def pseudonyms(self, org_id: OrgId, external_user_id: str) -> tuple[bytes, ...]:
        """The user's stand-ins under every key of pseudonyms. planvault.crypto.keyring."""
        ...


@dataclass(frozen=True, slots=True)
class Draft:
    """What is asked for. Of target PROJECT `project_id`, of EXTERNAL_USER `external_user_id`, of MEMBER `names`."""

    kind: RequestKind
    target: Target
    actor: str
    project_id: ProjectId | None = None
    external_user_id: str | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Detail:
    """What is kept encrypted of a request: who the person is, for only as long as the work needs it. `names`: all by
    which records know a member of the staff."""

    actor: str
    external_user_id: str | None = None
    names: tuple[str, ...] = ()

    @property
    def identifiers(self) -> tuple[str, ...]:
        return self.names if self.external_user_id is None else (self.external_user_id,)

    def sealed(self, cipher: OrgCipher, request_id: UUID) -> bytes:
        text = orjson.dumps({"actor": self.actor, "externalUserId": self.external_user_id, "names": list(self.names)})
        return cipher.seal(text, detail_seal(request_id))

    @classmethod
    def opened(cls, cipher: OrgCipher, request_id: UUID, sealed: bytes) -> Detail:
        """Raises DecryptionFailed."""
        found = orjson.loads(cipher.open(sealed, detail_seal(request_id)))
        return cls(found["actor"], found["externalUserId"], tuple(found.get("names", ())))


def detail_seal(request_id: UUID) -> Seal:
    """Where a request's detail is encrypted: JSON `{actor, externalUserId, names}`."""
    return Seal("table:privacy_requests", "privacy_requests", str(request_id), "detail")


class PrivacyRequests:
    def __init__(self, pool: Pool, keyring: Keyring, pseudonyms: Pseudonyms, ids: Ids) -> None:
        self._pool = pool
        self._keyring = keyring
        self._pseudonyms = pseudonyms
        self._ids = ids

    async def person(self, org_id: OrgId, external_user_id: str | None) -> Person:
        """By which pseudonyms an external user is known here; of nobody, none. One never seen is known as well."""
        if external_user_id is None:
            return Person((), ())
        return Person(
            await self._pseudonyms.pseudonyms(org_id, external_user_id),
            await self._pseudonyms.pseudonyms(org_id, f"voter:{spelled(external_user_id)}"),
        )

    async def staff(self, org_id: OrgId, user_id: UserId, names: tuple[str, ...]) -> Person:
        """By what a member of the staff is known here: their own id, and as whoever voted."""
        voters = [await self._pseudonyms.pseudonyms(org_id, f"voter:{spelled(name)}") for name in names]
        return Person((user_id.bytes,), tuple(voter for each in voters for voter in each))

    async def create(
        self, connection: Connection, scope: OrgScope, draft: Draft, person: Person
    ) -> tuple[PrivacyRequest, bool]:
        """The request, in the caller's transaction, and whether it is new: one for the same that has not ended goes on.

        From an erasure's commit on nothing new is made of the person or in the project until it has ended. `person`:
        asked before the transaction began. Raises NotFound for a project that is not the organisation's.
        """
        for who in _held(scope, draft, person):
            await connection.execute(SQL["hold"], scope.org_id, who)
        place = (scope.org_id, draft.kind.value, draft.target.value, draft.project_id, list(person.subjects))
        known = await connection.fetchrow(SQL["open_like_this"], *place)
        if known is not None:
            return request_of(known), False
        request_id = self._ids.new()
        cipher = await self._keyring.cipher(scope.org_id)
        detail = Detail(draft.actor, draft.external_user_id, draft.names).sealed(cipher, request_id)
        row = await connection.fetchrow(
            SQL["insert"], scope.org_id, request_id, *place[1:], list(person.voters), detail
        )
        assert row is not None, "an insert answers its row"
        return request_of(row), True

    async def get(self, scope: OrgScope, kind: RequestKind, request_id: UUID) -> PrivacyRequest:
        """Raises NotFound."""
        row = await scoped(self._pool, scope).fetchrow(SQL["find"], scope.org_id, kind.value, request_id)
        if row is None:
            raise NotFound(f"There is no such {kind.value} in this organisation.")
        return request_of(row)

    async def page(self, scope: OrgScope, kind: RequestKind, before: UUID | None, limit: int) -> list[PrivacyRequest]:
        """At most `limit`, newest first, older than `before`."""
        rows = await scoped(self._pool, scope).fetch(SQL["page"], scope.org_id, kind.value, before, limit)
        return [request_of(row) for row in rows]

    async def cancel(
        self, connection: Connection, scope: OrgScope, kind: RequestKind, request_id: UUID, actor: str
    ) -> PrivacyRequest:
        """An erasure before it has begun, an export before it has ended; of an ended export the file goes.

        Raises NotFound, and Conflict for an erasure that has begun: what it has destroyed cannot come back, and half of
        it would be worse than none.
        """
        state = await connection.fetchval(SQL["hold_request"], scope.org_id, kind.value, request_id)
        if state is None:
            raise NotFound(f"There is no such {kind.value} in this organisation.")
        if kind is RequestKind.ERASURE and state != RequestState.QUEUED:
            raise Conflict(f"The erasure is {state}: it can be cancelled only before it has begun.")
        sealed = Detail(actor).sealed(await self._keyring.cipher(scope.org_id), request_id)
        await connection.execute(SQL["cancel"], scope.org_id, kind.value, request_id, sealed)
        if kind is RequestKind.EXPORT:
            await connection.execute(SQL["drop_file"], scope.org_id, request_id)
        row = await connection.fetchrow(SQL["find"], scope.org_id, kind.value, request_id)
        assert row is not None, "the row is held"
        return request_of(row)


def _held(scope: OrgScope, draft: Draft, person: Person) -> list[bytes]:
    """What a request meets others at: those for the same, and for an erasure whoever makes what it would erase."""
    if draft.project_id is not None:
        return [draft.project_id.bytes]
    return sorted(person.subjects) or [scope.org_id.bytes]


def request_of(row: asyncpg.Record) -> PrivacyRequest:
    values: dict[str, Any] = dict(row)
    return PrivacyRequest.model_validate(values)
