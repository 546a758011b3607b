"""Signing keys of audit logs: one at a time an organisation, its private half sealed under the organisation's key.

Whoever has the database and not the key-encryption key cannot sign.
"""

from __future__ import annotations

import os
from dataclasses import replace
from uuid import UUID

import asyncpg
import structlog

from models.tenants import OrgScope
from planvault.audit.statements import KeyIntroduction, SigningKey
from planvault.errors import Conflict, DecryptionFailed
from planvault.ports import Clock, Ids, Keyring, Seal
from planvault.storage.pool import Connection, Pool, Queryable
from planvault.storage.queries import load
from planvault.storage.tenancy import scoped

_SQL = load("planvault.storage", "sql/audit_chain.sql")
_SEED_BYTES = 32
_log = structlog.get_logger(__name__)


def seed_seal(key_id: UUID) -> Seal:
    """Where a private key is encrypted."""
    return Seal("table:audit_signing_keys", "audit_signing_keys", str(key_id), "seed")


class AuditKeys:
    def __init__(self, pool: Pool, keyring: Keyring, ids: Ids, clock: Clock) -> None:
        self._pool = pool
        self._keyring = keyring
        self._ids = ids
        self._clock = clock

    async def all(self, scope: OrgScope) -> list[KeyIntroduction]:
        """Oldest first; none before the first signature."""
        rows = await scoped(self._pool, scope).fetch(_SQL["keys"], scope.org_id)
        return [_introduction(scope, row) for row in rows]

    async def held(self, scope: OrgScope) -> tuple[list[KeyIntroduction], frozenset[bytes]]:
        """As `all`, and those of their public keys whose private halves open here: who can only write the database
        makes none."""
        rows = await scoped(self._pool, scope).fetch(_SQL["keys"], scope.org_id)
        held: set[bytes] = set()
        for row in rows:
            try:
                held.add((await self._opened(scope, row)).public_key)
            except DecryptionFailed as fault:
                _log.error(
                    "audit.key_not_ours", org_id=str(scope.org_id), key=row["public_key"].hex(), cause=fault.detail
                )
        return [_introduction(scope, row) for row in rows], frozenset(held)

    async def current(self, scope: OrgScope) -> SigningKey:
        """The key that signs; made the first time. Raises NotFound for an organisation that is not there."""
        db = scoped(self._pool, scope)
        rows = await db.fetch(_SQL["keys"], scope.org_id)
        if not rows:
            await self._add(db, scope, None, 1)  # of two processes that do this at once the first wins
            rows = await db.fetch(_SQL["keys"], scope.org_id)
        return await self._opened(scope, rows[-1])

    async def rotate(self, connection: Connection, scope: OrgScope) -> KeyIntroduction:
        """Another key from now on, introduced by the one before it, in the caller's transaction.

        Raises Conflict where another rotation was faster.
        """
        rows = await connection.fetch(_SQL["keys"], scope.org_id)
        before = await self._opened(scope, rows[-1]) if rows else None
        made = await self._add(connection, scope, before, rows[-1]["version"] + 1 if rows else 1)
        if made is None:
            raise Conflict("The signing key is being rotated by somebody else.")
        return made

    async def _add(
        self, db: Queryable, scope: OrgScope, before: SigningKey | None, version: int
    ) -> KeyIntroduction | None:
        cipher = await self._keyring.cipher(scope.org_id)
        key_id, seed = self._ids.new(), os.urandom(_SEED_BYTES)
        key = SigningKey(seed)
        introducer = None if before is None else before.public_key
        told = KeyIntroduction(scope.org_id, version, key.public_key, self._clock.now(), introducer, None)
        made = replace(told, signature=None if before is None else before.sign(told))
        place = (scope.org_id, key_id, version, key.public_key, cipher.seal(seed, seed_seal(key_id)))
        done = await db.fetchval(_SQL["add_key"], *place, made.at, made.introduced_by, made.signature)
        return None if done is None else made

    async def _opened(self, scope: OrgScope, row: asyncpg.Record) -> SigningKey:
        cipher = await self._keyring.cipher(scope.org_id)
        key = SigningKey(cipher.open(row["seed"], seed_seal(row["id"])))
        if key.public_key != row["public_key"]:
            raise DecryptionFailed("A signing key of the audit log is not the one that its public half belongs to.")
        return key


def _introduction(scope: OrgScope, row: asyncpg.Record) -> KeyIntroduction:
    return KeyIntroduction(
        scope.org_id, row["version"], row["public_key"], row["at"], row["introduced_by"], row["introduction"]
    )
