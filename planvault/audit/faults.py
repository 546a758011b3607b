"""What a verification found."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID


class FaultKind(StrEnum):
    EDITED = "EDITED"  # a plain column, or the digest of the details, is not what was hashed
    DETAILS_EDITED = "DETAILS_EDITED"  # the details are not those of their digest
    DETAILS_UNREADABLE = "DETAILS_UNREADABLE"  # they do not open, or are gone without a row that says so
    BROKEN_LINK = "BROKEN_LINK"  # the row does not follow the one before it: replaced, reordered, of another chain
    MISSING = "MISSING"  # rows between two others, or before the first
    UNCHAINED = "UNCHAINED"  # a row without a place
    TAIL_CUT = "TAIL_CUT"  # a head speaks of rows behind the last
    HEAD_DIFFERS = "HEAD_DIFFERS"  # the row that a signed head speaks of has another hash: rewritten since
    SEGMENT_DIFFERS = "SEGMENT_DIFFERS"  # records of pruned segments that do not fit one another, or the chain
    BAD_SIGNATURE = "BAD_SIGNATURE"
    UNKNOWN_KEY = "UNKNOWN_KEY"  # signed by a key that no trusted key introduced
    INCOMPLETE = "INCOMPLETE"  # the export ends too soon, or holds what is no part of one


@dataclass(frozen=True, slots=True)
class Fault:
    seq: int
    kind: FaultKind
    detail: str


MAX_FAULTS = 100


@dataclass(slots=True)
class Findings:
    """The first hundred faults, and how many there were."""

    faults: list[Fault] = field(default_factory=list)
    count: int = 0

    def add(self, seq: int, kind: FaultKind, detail: str) -> None:
        self.count += 1
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(seq, kind, detail))


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification found. `pinned`: whether a public key from elsewhere was given to hold signatures against.

    `unproven`: rows from before the chain, whose details no digest covers. `heads`: signed heads that the rows met.
    """

    org_id: UUID | None = None
    rows: int = 0
    last_seq: int = 0
    last_hash: bytes = b""
    pruned: int = 0  # up to this place
    heads: int = 0
    erased: int = 0
    unproven: int = 0
    pinned: bool = False
    details: bool = True  # whether they were there to be verified
    faults: tuple[Fault, ...] = ()
    fault_count: int = 0

    @property
    def ok(self) -> bool:
        return self.fault_count == 0
