"""The export: one JSON object a line (NDJSON), which verifies without the platform. docs/audit.md has every field.

First the export's own line, then keys, segments, anchors, the rows in order, and last the signed head: a file without
one was cut off. Binary values are hexadecimal, times RFC 3339 in UTC with microseconds. A row's details stand as the
text that was hashed, since a parsed and rewritten JSON document need not have the same bytes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeAlias
from uuid import UUID

import orjson

from models.base import JsonValue
from planvault.audit.record import ChainedRow, Details
from planvault.audit.statements import Head, KeyIntroduction, Segment, SignedHead, SignedSegment

FORMAT = "planvault-audit/1"
Line: TypeAlias = dict[str, JsonValue]


def encode(line: Line) -> bytes:
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def first_line(org_id: UUID, at: datetime, *, details: bool) -> Line:
    return {"type": "export", "format": FORMAT, "orgId": str(org_id), "at": _time(at), "details": details}


def key_line(key: KeyIntroduction) -> Line:
    return {
        "type": "key",
        "orgId": str(key.org_id),
        "version": key.version,
        "publicKey": key.public_key.hex(),
        "at": _time(key.at),
        "introducedBy": None if key.introduced_by is None else key.introduced_by.hex(),
        "signature": None if key.signature is None else key.signature.hex(),
    }


def segment_line(signed: SignedSegment) -> Line:
    segment = signed.segment
    return {
        "type": "segment",
        "orgId": str(segment.org_id),
        "firstSeq": segment.first_seq,
        "lastSeq": segment.last_seq,
        "prevHash": segment.prev_hash.hex(),
        "lastHash": segment.last_hash.hex(),
        "at": _time(segment.at),
        "publicKey": signed.public_key.hex(),
        "signature": signed.signature.hex(),
    }


def head_line(signed: SignedHead, kind: str = "head") -> Line:
    """`kind`: `head`, or `anchor` for one that was signed earlier."""
    head = signed.head
    return {
        "type": kind,
        "orgId": str(head.org_id),
        "seq": head.seq,
        "hash": head.hash.hex(),
        "at": _time(head.at),
        "publicKey": signed.public_key.hex(),
        "signature": signed.signature.hex(),
    }


def row_line(row: ChainedRow, *, details: bool = True) -> Line:
    """`details`: False leaves them out; the chain verifies without."""
    line: Line = {
        "type": "row",
        "seq": row.seq,
        "id": str(row.id),
        "at": _time(row.at),
        "action": row.action,
        "projectId": _id(row.project_id),
        "sessionId": _id(row.session_id),
        "runId": _id(row.run_id),
        "detailsDigest": None if row.details_digest is None else row.details_digest.hex(),
        "prevHash": row.prev_hash.hex(),
        "hash": row.hash.hex(),
    }
    if not details:
        return line
    if row.details is None:
        return line | {"erased": True} if row.erased else line | {"unreadable": True}
    salt = row.details.salt
    return line | {"salt": None if salt is None else salt.hex(), "details": row.details.text}


def read_first(line: Line) -> tuple[UUID, bool]:
    """The organisation, and whether rows come with details. This and the next ones raise KeyError, TypeError and
    ValueError for what is no such line: fields that nobody knows would say what nobody has signed."""
    _only(line, "format", "orgId", "at", "details")
    if line["format"] != FORMAT or not isinstance(line["details"], bool):
        raise ValueError(f"a format other than {FORMAT}")
    return UUID(_text(line["orgId"])), line["details"]


def read_key(line: Line) -> KeyIntroduction:
    _only(line, "orgId", "version", "publicKey", "at", "introducedBy", "signature")
    introducer, signature = line["introducedBy"], line["signature"]
    return KeyIntroduction(
        UUID(_text(line["orgId"])),
        _number(line["version"]),
        _bytes(line["publicKey"], 32),
        _read_time(line["at"]),
        None if introducer is None else _bytes(introducer, 32),
        None if signature is None else _bytes(signature, 64),
    )


def read_segment(line: Line) -> SignedSegment:
    _only(line, "orgId", "firstSeq", "lastSeq", "prevHash", "lastHash", "at", "publicKey", "signature")
    segment = Segment(
        UUID(_text(line["orgId"])),
        _number(line["firstSeq"]),
        _number(line["lastSeq"]),
        _bytes(line["prevHash"], 32),
        _bytes(line["lastHash"], 32),
        _read_time(line["at"]),
    )
    return SignedSegment(segment, _bytes(line["publicKey"], 32), _bytes(line["signature"], 64))


def read_head(line: Line) -> SignedHead:
    _only(line, "orgId", "seq", "hash", "at", "publicKey", "signature")
    head = Head(UUID(_text(line["orgId"])), _number(line["seq"]), _bytes(line["hash"], 32), _read_time(line["at"]))
    return SignedHead(head, _bytes(line["publicKey"], 32), _bytes(line["signature"], 64))


_ROW = ("seq", "id", "at", "action", "projectId", "sessionId", "runId", "detailsDigest", "prevHash", "hash")


def read_row(line: Line, *, details: bool) -> ChainedRow:
    """`details`: whether they must be there, or must not."""
    said = line.keys() - {"type", *_ROW}
    if said not in (({"salt", "details"}, {"erased"}, {"unreadable"}) if details else (set(),)):
        raise ValueError(f"a row with {sorted(said)}")
    return _row(line, _details(line) if "details" in said else None)


def _details(line: Line) -> Details:
    salt = line["salt"]
    return Details(None if salt is None else _bytes(salt, 32), _text(line["details"]))


def _row(line: Line, details: Details | None) -> ChainedRow:
    digest = line["detailsDigest"]
    return ChainedRow(
        seq=_number(line["seq"]),
        id=UUID(_text(line["id"])),
        at=_read_time(line["at"]),
        action=_text(line["action"]),
        project_id=_read_id(line["projectId"]),
        session_id=_read_id(line["sessionId"]),
        run_id=_read_id(line["runId"]),
        details_digest=None if digest is None else _bytes(digest, 32),
        prev_hash=_bytes(line["prevHash"], 32),
        hash=_bytes(line["hash"], 32),
        details=details,
        erased="erased" in line,
        unreadable="unreadable" in line,
    )


def _only(line: Line, *fields: str) -> None:
    if line.keys() != {"type", *fields}:
        raise ValueError(f"fields {sorted(line)}")


def _time(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _id(value: UUID | None) -> str | None:
    return None if value is None else str(value)


def _read_time(value: JsonValue) -> datetime:
    at = datetime.fromisoformat(_text(value))
    if at.tzinfo is None:
        raise ValueError("a time without its zone")
    return at


def _read_id(value: JsonValue) -> UUID | None:
    return None if value is None else UUID(_text(value))


def _text(value: JsonValue) -> str:
    if not isinstance(value, str):
        raise TypeError("a text was expected")
    return value


def _number(value: JsonValue) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise TypeError("a number was expected")
    return value


def _bytes(value: JsonValue, length: int) -> bytes:
    found = bytes.fromhex(_text(value))
    if len(found) != length:
        raise ValueError(f"{length} bytes were expected")
    return found
