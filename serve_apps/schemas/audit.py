"""The audit log on the wire."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from models.audit import AuditAction, AuditEntry
from serve_apps.schemas.base import JsonDocument, Reply


class AuditRowOut(Reply):
    seq: int = Field(description="The row's place in its organisation's chain.")
    id: UUID
    at: datetime
    action: AuditAction
    actor: str = Field(description="A person (X-Operator-Id) with the key, a key, `policy` or `clock`.")
    project_id: UUID | None
    session_id: UUID | None
    run_id: UUID | None
    details: JsonDocument
    erased: bool = Field(description="The details, the actor among them, were erased.")

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
        )
