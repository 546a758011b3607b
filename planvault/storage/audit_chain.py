"""The chain of an organisation's audit log, read for verification and export, signed, and pruned by whole segments."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple
from uuid import UUID

import asyncpg

from models.tenants import OrgScope
from planvault.audit.record import NOTHING, ChainedRow
from planvault.audit.statements import Head, Segment, SignedHead, SignedSegment
from planvault.audit.verify import Verifier, erased_rows
from planvault.ports import Clock, Keyring, OrgCipher
from planvault.storage.audit import opened_details
from planvault.storage.audit_keys import AuditKeys
from planvault.storage.pool import Pool
from planvault.storage.queries import load
from planvault.storage.tenancy import scoped

_SQL = load("planvault.storage", "sql/audit_chain.sql")
ROWS_A_PAGE = 1_000
_PAGE_BYTES = 4 * 1024 * 1024  # of details


class End(NamedTuple):
    """Where a chain ends, and up to where it was pruned. Zeros before the first row."""

    seq: int
    hash: bytes
    pruned_seq: int
    pruned_hash: bytes


class AuditChain:
    """One organisation's at a time, in short statements: nothing is held while a reader is slow."""

    def __init__(self, pool: Pool, keyring: Keyring, keys: AuditKeys, clock: Clock) -> None:
        self._pool = pool
        self._keyring = keyring
        self.keys = keys
        self._clock = clock

    async def verifier(self, scope: OrgScope, after: int = 0, before: bytes = NOTHING) -> Verifier:
        """One that trusts the platform's own keys, and no other that the database names."""
        made = Verifier(scope.org_id, after=after, before=before)
        made.hold(*await self.keys.held(scope))
        return made

    async def end(self, scope: OrgScope) -> End:
        row = await scoped(self._pool, scope).fetchrow(_SQL["head"], scope.org_id)
        return End(0, NOTHING, 0, NOTHING) if row is None else End(*row)

    async def signed_head(self, scope: OrgScope) -> SignedHead:
        """The chain as it ends now, signed."""
        end = await self.end(scope)
        key = await self.keys.current(scope)
        return key.signed_head(Head(scope.org_id, end.seq, end.hash, self._clock.now()))

    async def segments(self, scope: OrgScope) -> list[SignedSegment]:
        """What was pruned, oldest first."""
        return [
            SignedSegment(
                Segment(scope.org_id, row["first_seq"], row["last_seq"], row["prev_hash"], row["last_hash"], row["at"]),
                row["public_key"],
                row["signature"],
            )
            for row in await scoped(self._pool, scope).fetch(_SQL["segments"], scope.org_id)
        ]

    async def anchors(self, scope: OrgScope, after: int = 0) -> list[SignedHead]:
        """Heads that were signed while the log grew, oldest first, behind place `after`."""
        rows = await scoped(self._pool, scope).fetch(_SQL["anchors"], scope.org_id, after)
        return [anchor_of(scope, row) for row in rows]

    async def rows(
        self, scope: OrgScope, after: int, upto: int, *, page: int = ROWS_A_PAGE
    ) -> AsyncIterator[list[ChainedRow]]:
        """Pages of rows behind place `after` up to place `upto`, in order; details opened where they can be."""
        while after < upto:
            found = await scoped(self._pool, scope).fetch(_SQL["rows"], scope.org_id, after, upto, page, _PAGE_BYTES)
            if not found:
                return
            cipher = await self._keyring.cipher(scope.org_id)
            yield [_chained(row, cipher) for row in found]
            after = found[-1]["seq"]

    async def erasures(self, scope: OrgScope, after: int = 0) -> list[tuple[int, int]]:
        """Ranges of rows whose details were erased, as the rows behind place `after` say that tell of it."""
        cipher = await self._keyring.cipher(scope.org_id)
        told: list[tuple[int, int]] = []
        for row in await scoped(self._pool, scope).fetch(_SQL["erasures"], scope.org_id, after):
            details = opened_details(cipher, row)
            if details is not None:
                told.extend(erased_rows(details.text, row["seq"]))
        return told

    async def unchained(self, scope: OrgScope) -> Sequence[UUID]:
        """Rows without a place: the database gives every row one, unless somebody kept it from doing so."""
        return [row["id"] for row in await scoped(self._pool, scope).fetch(_SQL["unchained"], scope.org_id)]


def anchor_of(scope: OrgScope, row: asyncpg.Record) -> SignedHead:
    return SignedHead(Head(scope.org_id, row["seq"], row["hash"], row["at"]), row["public_key"], row["signature"])


def take(verifier: Verifier, rows: Sequence[ChainedRow]) -> None:
    """A page; in a thread, since hashing one would hold everybody else up."""
    for row in rows:
        verifier.row(row)


def _chained(row: asyncpg.Record, cipher: OrgCipher) -> ChainedRow:
    erased = not row["details"]
    details = None if erased else opened_details(cipher, row)
    return ChainedRow(
        seq=row["seq"],
        id=row["id"],
        at=row["at"],
        action=row["action"],
        project_id=row["project_id"],
        session_id=row["session_id"],
        run_id=row["run_id"],
        details_digest=row["details_digest"],
        prev_hash=row["prev_hash"] or b"",  # NULL beside a place: somebody's work, which is to be found
        hash=row["hash"] or b"",
        details=details,
        erased=erased,
        unreadable=details is None and not erased,
    )
