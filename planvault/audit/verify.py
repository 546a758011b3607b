"""Verification of one organisation's chain, row by row, in memory that does not grow with it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from pydantic import BaseModel, ValidationError

from models.audit import AuditAction
from planvault.audit.faults import FaultKind, Findings, Report
from planvault.audit.keys import Trust
from planvault.audit.ranges import Ranges
from planvault.audit.record import NOTHING, ChainedRow, row_hash
from planvault.audit.statements import KeyIntroduction, SignedHead, SignedSegment


class _Told(BaseModel):
    """Of an AUDIT_ERASED row."""

    rows: list[tuple[int, int]]


class Verifier:
    """Give it keys, segments and heads first, then rows in order, then ask for the `report`.

    `after`, `before`: where it begins, when it goes on where another ended. `pinned`: see `Trust`.
    """

    def __init__(
        self,
        org_id: UUID,
        *,
        pinned: Iterable[bytes] = (),
        after: int = 0,
        before: bytes = NOTHING,
        findings: Findings | None = None,
    ) -> None:
        self.org_id = org_id
        self.seq = after
        self.hash = before
        self._findings = Findings() if findings is None else findings
        self._trust = Trust(pinned, self._findings)
        self._rows = self._erased = self._unproven = self._met = 0
        self._pruned = 0
        self._segment_ends: dict[int, bytes] = {}
        self._heads: dict[int, list[SignedHead]] = {}
        self._unaccounted = Ranges()
        self._accounted: list[tuple[int, int]] = []

    def keys(self, keys: Sequence[KeyIntroduction]) -> None:
        for key in keys:
            if key.org_id != self.org_id:
                self.fault(0, FaultKind.UNKNOWN_KEY, f"key {key.public_key.hex()} is of organisation {key.org_id}")
        self._trust.introduce([key for key in keys if key.org_id == self.org_id])

    def hold(self, keys: Sequence[KeyIntroduction], held: Collection[bytes]) -> None:
        """Instead of `keys`, where the private halves lie as well: see `Trust.hold`."""
        self._trust.hold(keys, held)

    def go_on_behind(self, signed: SignedHead) -> None:
        """Begin behind a head: what leads to it was verified when it was signed."""
        head = signed.head
        if self._trust.accepts(head.seq, "an anchor", head, signed.public_key, signed.signature):
            self.seq, self.hash = head.seq, head.hash

    def segment(self, signed: SignedSegment) -> None:
        """Oldest first, before any row."""
        segment = signed.segment
        if not self._trust.accepts(segment.last_seq, "a segment", segment, signed.public_key, signed.signature):
            return
        fits = (segment.org_id, segment.first_seq, segment.prev_hash) == (self.org_id, self.seq + 1, self.hash)
        if not fits:
            told = f"rows {segment.first_seq} to {segment.last_seq} do not follow row {self.seq}"
            self._findings.add(segment.first_seq, FaultKind.SEGMENT_DIFFERS, told)
        self.seq, self.hash = segment.last_seq, segment.last_hash
        self._pruned = segment.last_seq
        self._segment_ends[segment.last_seq] = segment.last_hash

    def pruned_to(self, seq: int, hash_: bytes) -> None:
        """Up to where rows are gone, as the database has it: the records of segments must say the same."""
        if (seq, hash_) != (self.seq, self.hash):
            told = f"rows are gone up to {seq}, and signed records say up to {self.seq}"
            self.fault(seq, FaultKind.SEGMENT_DIFFERS, told)
            self.seq, self.hash = seq, hash_

    def expect(self, signed: SignedHead, what: str = "a signed head") -> None:
        """The chain must hold this head."""
        head = signed.head
        if not self._trust.accepts(head.seq, what, head, signed.public_key, signed.signature):
            return
        if head.org_id != self.org_id:
            self._findings.add(head.seq, FaultKind.HEAD_DIFFERS, f"{what} is of organisation {head.org_id}")
        elif head.seq == 0 and head.hash != NOTHING:
            self._findings.add(0, FaultKind.HEAD_DIFFERS, what)
        elif 0 < head.seq <= self._pruned:
            end = self._segment_ends.get(head.seq)
            if end is not None and end != head.hash:
                self._findings.add(head.seq, FaultKind.HEAD_DIFFERS, what)
        elif head.seq > 0:
            self._heads.setdefault(head.seq, []).append(signed)

    def row(self, row: ChainedRow) -> None:
        self._rows += 1
        if not self._place(row):
            return
        if row.prev_hash != self.hash:
            self._findings.add(row.seq, FaultKind.BROKEN_LINK, f"row {row.id} does not follow row {row.seq - 1}")
        if row_hash(self.org_id, row.prev_hash, row) != row.hash:
            self._findings.add(row.seq, FaultKind.EDITED, f"row {row.id} is not what was hashed")
        self._details(row)
        self.seq, self.hash = row.seq, row.hash
        for signed in self._heads.pop(row.seq, ()):
            self._met += 1
            if signed.head.hash != row.hash:
                told = f"row {row.id} is not the one that was signed at {signed.head.at.isoformat()}"
                self._findings.add(row.seq, FaultKind.HEAD_DIFFERS, told)

    def last(self, signed: SignedHead) -> None:
        """The head with which an export ends: the rows must end with it too."""
        head = signed.head
        if not self._trust.accepts(head.seq, "the head", head, signed.public_key, signed.signature):
            return
        if head.org_id != self.org_id:
            self.fault(head.seq, FaultKind.HEAD_DIFFERS, f"the head is of organisation {head.org_id}")
        elif self.ends_at(head.seq, head.hash):
            self._met += 1

    def ends_at(self, seq: int, hash_: bytes) -> bool:
        """Whether the chain ends with this row and this hash, as somebody says who may know."""
        if seq > self.seq:
            self.fault(self.seq, FaultKind.TAIL_CUT, f"the last row is {self.seq}, the head is at {seq}")
        elif (seq, hash_) != (self.seq, self.hash):
            self.fault(
                seq, FaultKind.HEAD_DIFFERS, f"the head, at {seq}, is not that of these rows, which end at {self.seq}"
            )
        else:
            return True
        return False

    def fault(self, seq: int, kind: FaultKind, detail: str) -> None:
        """One that only the caller can see."""
        self._findings.add(seq, kind, detail)

    def report(self) -> Report:
        """All there is to say: also of heads that speak of rows which never came, and of erasures that nobody told."""
        for seq in sorted(self._heads):
            told = f"the last row is {self.seq}; a head of {self._heads[seq][0].head.at.isoformat()} is at {seq}"
            self._findings.add(seq, FaultKind.TAIL_CUT, told)
        for first, last in self._unaccounted.without(self._accounted):
            told = f"details of rows {first} to {last} are gone, and no {AuditAction.AUDIT_ERASED} row says so"
            self._findings.add(first, FaultKind.DETAILS_UNREADABLE, told)
        return Report(
            self.org_id,
            self._rows,
            self.seq,
            self.hash,
            self._pruned,
            self._met,
            self._erased,
            self._unproven,
            self._trust.pinned,
            faults=tuple(self._findings.faults),
            fault_count=self._findings.count,
        )

    def account(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Rows whose details were erased by somebody who said so."""
        self._accounted.extend(ranges)

    def _place(self, row: ChainedRow) -> bool:
        """Whether the row is behind the one before it; rows between them are told of."""
        if row.seq <= self.seq:
            self._findings.add(row.seq, FaultKind.BROKEN_LINK, f"row {row.id} comes after row {self.seq}")
            return False
        if row.seq > self.seq + 1:
            gone = range(self.seq + 1, row.seq)
            self._findings.add(gone[0], FaultKind.MISSING, f"rows {gone[0]} to {gone[-1]} are missing")
            self.hash = row.prev_hash  # told once
            for seq in [seq for seq in self._heads if seq in gone]:
                del self._heads[seq]
        return True

    def _details(self, row: ChainedRow) -> None:
        if row.erased:
            self._erased += 1
            self._unaccounted.push(row.seq)
        elif row.unreadable:
            self._findings.add(row.seq, FaultKind.DETAILS_UNREADABLE, f"details of row {row.id} do not open")
        elif row.details is not None:
            if row.details_digest is None:
                self._unproven += 1
            elif row.details.digest() != row.details_digest:
                self._findings.add(row.seq, FaultKind.DETAILS_EDITED, f"details of row {row.id} are others than hashed")
            if row.action == AuditAction.AUDIT_ERASED:
                self.account(erased_rows(row.details.text, row.seq))


def erased_rows(text: str, told_by: int) -> list[tuple[int, int]]:
    """What an AUDIT_ERASED row's details say: `{"rows": [[first, last], …], …}`.

    It speaks of rows before its own place, `told_by`; what it says of others, or in other words, counts for nothing.
    """
    try:
        told = _Told.model_validate_json(text)
    except ValidationError:
        return []
    return [(first, min(last, told_by - 1)) for first, last in told.rows]
