"""The audit log on the wire."""

import re
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from models.audit import AuditAction, AuditEntry
from planvault.audit.export import head_line, key_line
from planvault.audit.faults import FaultKind
from planvault.audit.statements import KeyIntroduction, SignedHead
from planvault.storage.audit_verify import Portion
from serve_apps.paging import bad_cursor, decode, encode
from serve_apps.schemas.base import JsonDocument, Reply


class AuditRowOut(Reply):
    seq: int = Field(description="The row's place in its organisation's chain.")
    id: UUID
    at: datetime
    action: AuditAction | str
    actor: str = Field(description="A person (X-Operator-Id) with the key, a key, `policy` or `clock`.")
    project_id: UUID | None
    session_id: UUID | None
    run_id: UUID | None
    details: JsonDocument
    erased: bool = Field(description="The details, the actor among them, were erased.")
    unreadable: bool = Field(description="They do not open: a verification says more.")

    @classmethod
    def of(cls, entry: AuditEntry) -> "AuditRowOut":
        row, details = entry.row, dict(entry.row.details)
        return cls(
            seq=entry.seq,
            id=row.id,
            at=row.at,
            action=row.action,
            actor=str(details.pop("actor", "")),
            project_id=row.project_id,
            session_id=row.session_id,
            run_id=row.run_id,
            details=details,
            erased=entry.erased,
            unreadable=entry.unreadable,
        )


class SignedHeadOut(Reply):
    """The line of type `head` of an export."""

    type: Literal["head"] = "head"
    org_id: UUID
    seq: int = Field(description="Of the last row; 0: there is none.")
    hash: str = Field(description="Of the last row, hexadecimal.")
    at: str
    public_key: str = Field(description="Ed25519, hexadecimal.")
    signature: str = Field(description="Ed25519 over the fields before, as docs/audit.md lays them out; hexadecimal.")

    @classmethod
    def of(cls, signed: SignedHead) -> "SignedHeadOut":
        return cls.model_validate(head_line(signed))


class AuditKeyOut(Reply):
    """The line of type `key` of an export."""

    type: Literal["key"] = "key"
    org_id: UUID
    version: int
    public_key: str = Field(description="Ed25519, hexadecimal.")
    at: str
    introduced_by: str | None = Field(description="The public key before it.")
    signature: str | None = Field(description="By the key before it, over this one.")

    @classmethod
    def of(cls, key: KeyIntroduction) -> "AuditKeyOut":
        return cls.model_validate(key_line(key))


class AuditFaultOut(Reply):
    seq: int
    kind: FaultKind
    detail: str


class VerificationOut(Reply):
    ok: bool = Field(description="No fault in the rows of this portion.")
    rows: int = Field(description="Verified in this portion.")
    last_seq: int
    pruned: int = Field(description="In the first portion: rows up to this place were pruned, as signed records say.")
    heads: int = Field(description="Signed heads that the rows of this portion agree with.")
    erased: int = Field(description="Rows whose details were erased, as rows of the log say.")
    unproven: int = Field(description="Rows from before the chain: no digest covers their details.")
    fault_count: int
    faults: list[AuditFaultOut] = Field(description="The first hundred.")
    next_cursor: str | None

    @classmethod
    def of(cls, portion: Portion) -> "VerificationOut":
        report = portion.report
        return cls(
            ok=report.ok,
            rows=report.rows,
            last_seq=report.last_seq,
            pruned=report.pruned,
            heads=report.heads,
            erased=report.erased,
            unproven=report.unproven,
            fault_count=report.fault_count,
            faults=[AuditFaultOut(seq=fault.seq, kind=fault.kind, detail=fault.detail) for fault in report.faults],
            next_cursor=None if portion.next is None else encode(f"{portion.next[0]}:{portion.next[1].hex()}"),
        )


_PLACE = re.compile(r"(\d{1,18}):([0-9a-f]{64})", re.ASCII)


def decode_place(cursor: str | None) -> tuple[int, bytes] | None:
    """Where a verification goes on: place and hash. Raises InvalidInput."""
    if cursor is None:
        return None
    found = _PLACE.fullmatch(decode(cursor))
    if found is None:
        raise bad_cursor()
    return int(found[1]), bytes.fromhex(found[2])
