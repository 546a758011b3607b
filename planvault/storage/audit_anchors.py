"""Heads are signed while logs grow, and what is older than an organisation keeps it goes, whole segments at a time.

For the platform's own process: it works across organisations, and signs nothing that does not verify.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from models.ids import OrgId
from models.policies import RetentionSettings
from models.tenants import OrgScope
from planvault.audit.faults import Report
from planvault.audit.statements import Head, Segment, SignedHead, SigningKey
from planvault.audit.verify import Verifier
from planvault.errors import PlanVaultError
from planvault.ports import Clock
from planvault.storage.audit_chain import AuditChain, End, anchor_of, take
from planvault.storage.pool import Pool, transaction
from planvault.storage.queries import load
from planvault.storage.retention import Swept

_SQL = load("planvault.storage", "sql/audit_chain.sql")
_log = structlog.get_logger(__name__)
ANCHOR_EVERY = timedelta(hours=1)
ANCHOR_ROWS = 10_000  # or sooner, where a log grows by so many rows
SEGMENT = timedelta(days=1)  # a record stays of each pruned day
SEGMENT_ROWS = 50_000  # or of as many rows
_ORGANISATIONS_A_BATCH = 20

KeptFor = Callable[[OrgScope], Awaitable[timedelta]]


class AuditAnchoring:
    """Implements planvault.storage.retention.Pruning: `once` looks at a few organisations' logs.

    `kept_for`: how long an organisation keeps its rows.
    """

    name = "audit"
    batch = _ORGANISATIONS_A_BATCH

    def __init__(self, chain: AuditChain, clock: Clock, kept_for: KeptFor) -> None:
        self._chain = chain
        self._clock = clock
        self._kept_for = kept_for
        self._after: OrgId | None = None

    async def once(self, pool: Pool) -> Swept:
        """Anchors what has grown and prunes what is old, of up to `batch` organisations behind the last one's."""
        now, usual = self._clock.now(), RetentionSettings().audit_days
        due = await pool.fetch(_SQL["due"], self._after, now - ANCHOR_EVERY, ANCHOR_ROWS, self.batch, now, usual)
        gone = 0
        for row in due:
            scope = OrgScope(org_id=OrgId(row["org_id"]))
            try:
                if row["grown"]:
                    await self.anchor(pool, scope)
                gone += await self.prune(pool, scope)
            except PlanVaultError as fault:  # of one organisation: its keys are away, it is being deleted
                _log.warning("audit.not_anchored", org_id=str(scope.org_id), cause=fault.detail)
        self._after = OrgId(due[-1]["org_id"]) if len(due) == self.batch else None
        return Swept(len(due), gone)

    async def anchor(self, pool: Pool, scope: OrgScope) -> SignedHead | None:
        """Verify what was appended since the last anchor, sign the head and keep it.

        None where that does not verify: the log says so, loudly, and nothing is signed.
        """
        anchors = await self._chain.anchors(scope)
        end = await self._chain.end(scope)
        if anchors:
            verifier = await self._chain.verifier(scope)
            verifier.go_on_behind(anchors[-1])
        else:
            verifier = await self._behind_what_is_pruned(scope, end)
        if not await self._leads(scope, verifier, end.seq, end.hash):
            return None
        key = await self._chain.keys.current(scope)
        signed = key.signed_head(Head(scope.org_id, end.seq, end.hash, self._clock.now()))
        await pool.execute(
            _SQL["add_anchor"], scope.org_id, end.seq, end.hash, signed.head.at, signed.public_key, signed.signature
        )
        # Also for whoever keeps log lines: out of the database's reach, each is a witness of the chain.
        _log.info(
            "audit.anchored",
            org_id=str(scope.org_id),
            seq=end.seq,
            hash=end.hash.hex(),
            at=signed.head.at.isoformat(),
            public_key=signed.public_key.hex(),
            signature=signed.signature.hex(),
        )
        return signed

    async def prune(self, pool: Pool, scope: OrgScope) -> int:
        """Take away what was anchored before the organisation's time is up; how many rows."""
        cutoff = self._clock.now() - await self._kept_for(scope)
        oldest = await pool.fetchval(_SQL["oldest_anchor"], scope.org_id)
        if oldest is None or oldest >= cutoff - SEGMENT:
            return 0
        end = await self._chain.end(scope)
        row = await pool.fetchrow(_SQL["prunable"], scope.org_id, cutoff, end.pruned_seq + SEGMENT_ROWS)
        if row is None:
            return 0
        anchor = anchor_of(scope, row)
        verifier = await self._behind_what_is_pruned(scope, end)
        verifier.expect(anchor, "an anchor")  # its time as well: nothing goes sooner than the platform signed
        if not await self._leads(scope, verifier, anchor.head.seq, anchor.head.hash):
            return 0
        key = await self._chain.keys.current(scope)
        places = (end.pruned_seq + 1, anchor.head.seq, end.pruned_hash, anchor.head.hash)
        return await self._take_away(pool, key, Segment(scope.org_id, *places, self._clock.now()))

    async def _take_away(self, pool: Pool, key: SigningKey, segment: Segment) -> int:
        async with transaction(pool) as connection:
            await connection.execute(
                _SQL["add_segment"],
                segment.org_id,
                segment.first_seq,
                segment.last_seq,
                segment.prev_hash,
                segment.last_hash,
                segment.at,
                key.public_key,
                key.sign(segment),
            )
            gone: int = await connection.fetchval(_SQL["prune"], segment.org_id, segment.last_seq)
        _log.info("audit.pruned", org_id=str(segment.org_id), first=segment.first_seq, last=segment.last_seq)
        return gone

    async def _behind_what_is_pruned(self, scope: OrgScope, end: End) -> Verifier:
        """Begins where rows are gone up to, as signed records have it."""
        verifier = await self._chain.verifier(scope)
        for segment in await self._chain.segments(scope):
            verifier.segment(segment)
        verifier.pruned_to(end.pruned_seq, end.pruned_hash)
        return verifier

    async def _leads(self, scope: OrgScope, verifier: Verifier, seq: int, hash_: bytes) -> bool:
        """Whether nothing was wrong so far, and the rows lead from where the verifier is to this place and hash."""
        verifier.account(await self._chain.erasures(scope, verifier.seq))
        async for rows in self._chain.rows(scope, verifier.seq, seq):
            await asyncio.to_thread(take, verifier, rows)
        verifier.ends_at(seq, hash_)
        report = verifier.report()
        if not report.ok:
            _complain(scope, report)
        return report.ok


def _complain(scope: OrgScope, report: Report) -> None:
    found = [f"{fault.kind} at {fault.seq}: {fault.detail}" for fault in report.faults[:5]]
    _log.error("audit.chain_broken", org_id=str(scope.org_id), faults=report.fault_count, first=found)
