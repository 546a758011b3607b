"""Sessions: conversations of a project. What a caller put into one (context, metadata) is encrypted."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import orjson

from models.base import JsonObject
from models.ids import OrgId, SessionId, shard_of
from models.policies import SessionSettings
from models.runs import SessionStatus
from models.tenants import ProjectScope, SessionScope
from planvault.errors import NotFound
from planvault.ports import Keyring, OrgCipher, Seal
from planvault.storage.pool import Connection, Pool
from planvault.storage.queries import load
from planvault.storage.tenancy import scoped
from planvault.storage.under_erasure import unless_erased

_SQL = load("planvault.storage", "sql/sessions.sql")

# Of ciphertext, in one page: a session's context may have as many bytes as a request.
PAGE_BYTES = 4 * 1024 * 1024

Pseudonym = Callable[[OrgId, str], Awaitable[bytes]]
"""HMAC-SHA256 of an external user's id under the organisation's pseudonym key."""


@dataclass(frozen=True, slots=True)
class SessionDraft:
    context_vars: JsonObject
    metadata: JsonObject
    tags: tuple[str, ...]
    external_user_id: str | None
    settings: SessionSettings
    external_user_hmac: bytes | None = None  # instead of the id, where only the hash was kept


@dataclass(frozen=True, slots=True)
class SessionRecord:
    id: SessionId
    shard: int
    status: SessionStatus
    tags: tuple[str, ...]
    has_external_user: bool  # the id itself is kept only as a keyed hash
    context_vars: JsonObject
    metadata: JsonObject
    settings: SessionSettings
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class SessionFilter:
    tag: str | None = None
    status: SessionStatus | None = None
    external_user_id: str | None = None


def context_seal(session_id: SessionId) -> Seal:
    """Where a session's context is encrypted: JSON `{"contextVars": …, "metadata": …}`."""
    return Seal(f"session:{session_id}", "sessions", str(session_id), "context")


class Sessions:
    def __init__(self, pool: Pool, keyring: Keyring, pseudonym: Pseudonym, shards: int) -> None:
        self._pool = pool
        self._keyring = keyring
        self._pseudonym = pseudonym
        self._shards = shards

    async def insert(
        self, connection: Connection, scope: ProjectScope, session_id: SessionId, draft: SessionDraft
    ) -> SessionRecord:
        """A new, active session, inside the caller's transaction.

        Raises NotFound for a foreign project, ErasureUnderWay while its user or its project is being erased.
        """
        subject = draft.external_user_hmac or await self.hashed(scope.org_id, draft.external_user_id)
        session = SessionScope(org_id=scope.org_id, project_id=scope.project_id, session_id=session_id)
        cipher = await self._keyring.new_session_cipher(session, subject)
        context = orjson.dumps({"contextVars": draft.context_vars, "metadata": draft.metadata})
        place = (scope.org_id, scope.project_id, session_id, shard_of(session_id, self._shards))
        sealed = cipher.seal(context, context_seal(session_id))
        settings = draft.settings.model_dump(mode="json", by_alias=True)
        with unless_erased():
            row = await connection.fetchrow(_SQL["insert"], *place, subject, list(draft.tags), sealed, settings)
        if row is None:
            raise NotFound("There is no such project.")
        return _record(row, cipher)

    async def get(self, scope: SessionScope) -> SessionRecord:
        """Raises NotFound."""
        row = await scoped(self._pool, scope).fetchrow(_SQL["find"], scope.org_id, scope.project_id, scope.session_id)
        if row is None:
            raise NotFound("There is no such session in this project.")
        return _record(row, await self._keyring.session_cipher(scope))

    async def page(
        self, scope: ProjectScope, chosen: SessionFilter, before: SessionId | None, limit: int
    ) -> tuple[list[SessionRecord], bool]:
        """At most `limit` sessions and PAGE_BYTES, newest first, older than `before`; and whether there are more."""
        rows = await scoped(self._pool, scope).fetch(
            _SQL["page"],
            scope.org_id,
            scope.project_id,
            before,
            chosen.tag,
            chosen.status,
            await self.hashed(scope.org_id, chosen.external_user_id),
            limit + 1,
            PAGE_BYTES,
        )
        records = [
            _record(row, await self._keyring.subject_cipher(scope.org_id, row["subject"])) for row in rows[:limit]
        ]
        return records, bool(rows) and len(records) < rows[0]["found"]

    async def close(self, connection: Connection, scope: SessionScope) -> int | None:
        """Mark the session closed; its shard, or None where it was closed before (or is not there)."""
        shard: int | None = await connection.fetchval(_SQL["close"], scope.org_id, scope.project_id, scope.session_id)
        return shard

    async def is_settled(self, scope: SessionScope) -> bool:
        """Whether the session's record will not grow again: closed, nothing waiting, nothing running."""
        return bool(
            await scoped(self._pool, scope).fetchval(
                _SQL["is_settled"], scope.org_id, scope.project_id, scope.session_id
            )
        )

    async def external_user_hmac(self, scope: SessionScope) -> bytes | None:
        """The keyed hash of the session's external user, if it has one."""
        place = (scope.org_id, scope.project_id, scope.session_id)
        hmac: bytes | None = await scoped(self._pool, scope).fetchval(_SQL["external_user"], *place)
        return hmac

    async def hashed(self, org_id: OrgId, external_user_id: str | None) -> bytes | None:
        """What is kept of an external user's id."""
        return None if external_user_id is None else await self._pseudonym(org_id, external_user_id)


def _record(row: asyncpg.Record, cipher: OrgCipher) -> SessionRecord:
    session_id = SessionId(row["id"])
    context = orjson.loads(cipher.open(row["context"], context_seal(session_id)))
    return SessionRecord(
        id=session_id,
        shard=row["shard"],
        status=SessionStatus(row["status"]),
        tags=tuple(row["tags"]),
        has_external_user=row["has_external_user"],
        context_vars=context["contextVars"],
        metadata=context["metadata"],
        settings=SessionSettings.model_validate(row["settings"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
