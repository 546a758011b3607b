"""Rows of `data_keys`, the keyring that reads them, and their destruction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic

import asyncpg

from models.ids import OrgId
from models.tenants import OrgScope, SessionScope
from planvault.crypto.kek import KeyPlace, KeyWrapper, WrappedKey
from planvault.crypto.keyring import DataKeyRow, TenantKeys
from planvault.crypto.providers import KeyProviders
from planvault.crypto.subjects import SessionKeyring, SessionOwner
from planvault.errors import NotFound
from planvault.ports import Ids
from planvault.storage.pool import Connection, Pool
from planvault.storage.queries import load
from planvault.storage.tenancy import within

_SQL = load("planvault.storage", "sql/keys.sql")


class PostgresDataKeys:
    """Implements planvault.crypto's DataKeyRows and UserKeyRows."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def load(self, org_id: OrgId) -> TenantKeys:
        async with within(self._pool, OrgScope(org_id=org_id)) as connection:
            rows = await connection.fetch(_SQL["load"], org_id)
        if not rows:
            raise NotFound("There is no such organisation")
        return TenantKeys(rows[0]["dek_wrap"], [_row(org_id, row) for row in rows if row["id"] is not None])

    async def add(self, rows: Sequence[DataKeyRow], provider: str | None = None) -> None:
        """Of two processes with different providers the first decides; what the other wrapped is left out."""
        async with within(self._pool, OrgScope(org_id=rows[0].place.org_id)) as connection:
            held = await connection.fetchrow(_SQL["hold"], rows[0].place.org_id)
            if held is None:
                raise NotFound("There is no such organisation")
            if provider is not None and provider != held["dek_wrap"]:
                if held["has_keys"]:
                    return
                await connection.execute(_SQL["choose_provider"], rows[0].place.org_id, provider)
            for row in rows:
                await insert_key(connection, row)

    async def owner(self, scope: SessionScope) -> SessionOwner | None:
        async with within(self._pool, scope) as connection:
            row = await connection.fetchrow(_SQL["owner"], scope.org_id, scope.session_id)
        return None if row is None else SessionOwner(row["subject"], row["key_id"])

    async def of_user(self, org_id: OrgId, subject: bytes) -> Sequence[DataKeyRow]:
        async with within(self._pool, OrgScope(org_id=org_id)) as connection:
            return [_row(org_id, row) for row in await connection.fetch(_SQL["of_user"], org_id, subject)]

    async def add_user(self, row: DataKeyRow, subject: bytes) -> None:
        async with within(self._pool, OrgScope(org_id=row.place.org_id)) as connection:
            await insert_key(connection, row, subject)


class PostgresKeyring(SessionKeyring):
    """The Keyring port over Postgres."""

    def __init__(
        self,
        pool: Pool,
        wrapper: KeyWrapper | KeyProviders,
        ids: Ids,
        *,
        elapsed: Callable[[], float] = monotonic,
    ) -> None:
        rows = PostgresDataKeys(pool)
        super().__init__(rows, rows, wrapper, ids, elapsed=elapsed)


async def shred_user(connection: Connection, scope: OrgScope, subject: bytes) -> int:
    """Destroy every data key of an external user (`sessions.external_user_hmac`), in the caller's transaction.

    How many were destroyed. What they sealed opens nowhere any more once the running processes have read the keys
    again (USER_REFRESH_S); nothing new can be sealed with them from the commit on. A person who comes back gets
    another key. Copies of the row in backups and in write-ahead logs end when those do (docs/encryption.md).
    """
    return len(await connection.fetch(_SQL["shred_user"], scope.org_id, subject))


async def shred_org(connection: Connection, scope: OrgScope) -> int:
    """The same for all keys of an organisation, its users' included: nothing of its content opens any more."""
    return len(await connection.fetch(_SQL["shred_organization"], scope.org_id))


async def insert_key(connection: Connection, row: DataKeyRow, subject: bytes | None = None) -> None:
    """A key, unless one of its purpose, user and version exists."""
    place, wrapped = row.place, row.wrapped
    await connection.execute(
        _SQL["add"],
        place.org_id,
        place.key_id,
        place.purpose,
        place.version,
        wrapped.blob,
        wrapped.wrapped_by,
        row.status,
        row.generation,
        subject,
    )


def _row(org_id: OrgId, row: asyncpg.Record) -> DataKeyRow:
    place = KeyPlace(org_id, row["purpose"], row["id"], row["version"])
    return DataKeyRow(place, WrappedKey(row["wrapped"], row["wrapped_by"]), row["status"], row["generation"])
