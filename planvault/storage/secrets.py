"""Secrets at organisation, project and session level, sealed under the organisation's data key."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from models.signals import SignalHandle
from models.tenants import OrgScope, ProjectScope, SessionScope
from planvault.errors import FieldError, InvalidInput, NotFound
from planvault.ports import Ids, Keyring, Seal
from planvault.storage.pool import Pool, Queryable
from planvault.storage.queries import load
from planvault.storage.tenancy import scoped

_SQL = load("planvault.storage", "sql/secrets.sql")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_LONGEST_VALUE = 64 * 1024


class SecretName(NamedTuple):
    name: str
    updated_at: datetime


class PostgresSecrets:
    """Implements the Secrets port. The type of a scope is the level: OrgScope, ProjectScope or SessionScope."""

    def __init__(self, pool: Pool, keyring: Keyring, ids: Ids) -> None:
        self._pool = pool
        self._keyring = keyring
        self._ids = ids

    async def put(self, scope: OrgScope, values: Mapping[str, str], db: Queryable | None = None) -> None:
        """Create or replace these names at the scope's level; others stay. Raises InvalidInput, NotFound.

        `db` is the caller's open transaction, where the secrets must land together with something else.
        """
        _check(values)
        if not values:
            return
        if isinstance(scope, SessionScope):
            cipher = await self._keyring.session_cipher(scope)
        else:
            cipher = await self._keyring.cipher(scope.org_id)
        ids = [self._ids.new() for _ in values]
        sealed = [cipher.seal(value.encode(), _place(id_)) for id_, value in zip(ids, values.values(), strict=True)]
        written = await (scoped(self._pool, scope) if db is None else db).fetch(
            _SQL["put"], *_level(scope), ids, list(values), sealed
        )
        if len(written) != len(values):
            raise NotFound("There is no such project or session in this scope")

    async def names_at(self, scope: OrgScope) -> list[SecretName]:
        """Names at exactly the scope's level."""
        rows = await scoped(self._pool, scope).fetch(_SQL["names_at"], *_level(scope))
        return [SecretName(row["name"], row["updated_at"]) for row in rows]

    async def names(self, scope: SessionScope) -> list[str]:
        rows = await scoped(self._pool, scope).fetch(_SQL["visible"], *_level(scope))
        return [row["name"] for row in rows]

    async def value(self, scope: SessionScope, name: str) -> str:
        row = await scoped(self._pool, scope).fetchrow(_SQL["value"], *_level(scope), name)
        if row is None:
            raise NotFound(f"No secret named {name!r} is set for this session, its project or its organisation")
        cipher = await self._keyring.session_cipher(scope)
        return cipher.open(row["value"], _place(row["id"])).decode()

    async def delete(self, scope: OrgScope, name: str, db: Queryable | None = None) -> None:
        """Remove the name at exactly the scope's level. Raises NotFound. `db` is the caller's open transaction."""
        db = scoped(self._pool, scope) if db is None else db
        if await db.fetchval(_SQL["delete"], *_level(scope), name) is None:
            raise NotFound(f"There is no secret named {name!r} at this level")


def _level(scope: OrgScope) -> tuple[UUID, UUID | None, UUID | None]:
    project_id = scope.project_id if isinstance(scope, ProjectScope) else None
    session_id = scope.session_id if isinstance(scope, SessionScope) else None
    return scope.org_id, project_id, session_id


def _place(secret_id: UUID) -> Seal:
    return Seal("table:secrets", "secrets", str(secret_id), "value")


def _check(values: Mapping[str, str]) -> None:
    """Messages name the secret, never its value."""
    faults = [
        FieldError(f"/secrets/{_pointer(name)}", "must match [A-Za-z_][A-Za-z0-9_]{0,127}")
        for name in values
        if not _NAME.fullmatch(name)
    ]
    faults += [
        FieldError(f"/secrets/{_pointer(name)}", "is reserved: it stands for a signal of the plan that uses it")
        for name in values
        if SignalHandle.read(name) is not None
    ]
    faults += [
        FieldError(f"/secrets/{_pointer(name)}", f"must be 1 to {_LONGEST_VALUE} bytes of UTF-8 text")
        for name, value in values.items()
        if not 0 < _utf8_length(value) <= _LONGEST_VALUE
    ]
    if faults:
        raise InvalidInput("A secret is not valid", errors=faults)


def _utf8_length(value: str) -> int:
    """Bytes in UTF-8; 0 for text that has no UTF-8 form (lone surrogates)."""
    try:
        return len(value.encode())
    except UnicodeEncodeError:
        return 0


def _pointer(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
