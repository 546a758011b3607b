"""Verification of a chain where it lies, in portions, and its export: both read it in short statements."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from models.tenants import OrgScope
from planvault.audit.export import encode, first_line, head_line, key_line, row_line, segment_line
from planvault.audit.faults import FaultKind, Report
from planvault.audit.record import NOTHING, ChainedRow
from planvault.errors import Conflict
from planvault.ports import Clock
from planvault.storage.audit_chain import AuditChain, take

PORTION_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Portion:
    """Of a verification. `next`: where it goes on, the place and the hash that were reached; None: this was the end."""

    report: Report
    next: tuple[int, bytes] | None


async def verify_portion(
    chain: AuditChain, scope: OrgScope, begin: tuple[int, bytes] | None = None, *, limit: int = PORTION_ROWS
) -> Portion:
    """At most `limit` rows, from the first there is or from where another portion ended.

    The first portion looks at the records of pruned segments as well, the last one at the tail.
    """
    anchors = await chain.anchors(scope, 0 if begin is None else begin[0])
    end = await chain.end(scope)  # after the anchors: none of them can be ahead of it, unless the head was set back
    after, before = begin or (0, NOTHING)
    if begin is not None and after < end.pruned_seq:
        raise Conflict("Rows that were to be verified next have been pruned meanwhile. Verify from the beginning.")
    verifier = await chain.verifier(scope, after, before)
    if begin is None:
        for segment in await chain.segments(scope):
            verifier.segment(segment)
        verifier.pruned_to(end.pruned_seq, end.pruned_hash)
    upto = min(end.seq, verifier.seq + limit)
    verifier.account(await chain.erasures(scope, verifier.seq))
    for anchor in anchors:
        if anchor.head.seq <= upto or upto == end.seq:
            verifier.expect(anchor, "an anchor")
    async for rows in chain.rows(scope, verifier.seq, upto):
        await asyncio.to_thread(take, verifier, rows)
    if upto < end.seq:
        return Portion(verifier.report(), (upto, verifier.hash))
    verifier.ends_at(end.seq, end.hash)
    for row_id in await chain.unchained(scope):
        verifier.fault(end.seq, FaultKind.UNCHAINED, f"row {row_id} has no place in the chain")
    return Portion(verifier.report(), None)


async def export(chain: AuditChain, clock: Clock, scope: OrgScope, *, details: bool = True) -> AsyncIterator[bytes]:
    """NDJSON (planvault.audit.export). A page of rows is read when the reader has taken the one before."""
    anchors = await chain.anchors(scope)
    head = await chain.signed_head(scope)
    keys = await chain.keys.all(scope)
    segments = await chain.segments(scope)
    lines = [first_line(scope.org_id, clock.now(), details=details), *map(key_line, keys)]
    lines += [*map(segment_line, segments), *(head_line(anchor, "anchor") for anchor in anchors)]
    yield b"".join(map(encode, lines))
    pruned = segments[-1].segment.last_seq if segments else 0
    async for rows in chain.rows(scope, pruned, head.head.seq):
        yield await asyncio.to_thread(_encoded, rows, details)
    yield encode(head_line(head))


def _encoded(rows: Sequence[ChainedRow], details: bool) -> bytes:
    return b"".join(encode(row_line(row, details=details)) for row in rows)
