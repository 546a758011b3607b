"""Rows of `data_keys`, and the keyring that reads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic

from models.ids import OrgId
from planvault.crypto.kek import KeyPlace, KeyWrapper, WrappedKey
from planvault.crypto.keyring import DataKeyRow, TenantKeyring, TenantKeys
from planvault.errors import NotFound
from planvault.ports import Ids
from planvault.storage.pool import Pool, transaction
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/keys.sql")


class PostgresDataKeys:
    """Implements planvault.crypto.keyring.DataKeyRows."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def load(self, org_id: OrgId) -> TenantKeys:
        async with self._pool.acquire() as connection:
            dek_wrap = await connection.fetchval(_SQL["provider"], org_id)
            if dek_wrap is None:
                raise NotFound("There is no such organisation")
            rows = await connection.fetch(_SQL["load"], org_id)
        keys = [
            DataKeyRow(
                KeyPlace(org_id, row["purpose"], row["id"], row["version"]),
                WrappedKey(row["wrapped"], row["wrapped_by"]),
                row["status"],
            )
            for row in rows
        ]
        return TenantKeys(dek_wrap, keys)

    async def add(self, rows: Sequence[DataKeyRow]) -> None:
        async with transaction(self._pool) as connection:
            for row in rows:
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
                )


class PostgresKeyring(TenantKeyring):
    """The Keyring port over Postgres."""

    def __init__(self, pool: Pool, wrapper: KeyWrapper, ids: Ids, *, elapsed: Callable[[], float] = monotonic) -> None:
        super().__init__(PostgresDataKeys(pool), wrapper, ids, elapsed=elapsed)
