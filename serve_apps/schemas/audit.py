"""The audit log on the wire."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from models.audit import AuditAction, AuditRow
from serve_apps.schemas.base import JsonDocument, Reply


class AuditRowOut(Reply):
    id: UUID
    at: datetime
    action: AuditAction
    actor: str = Field(description="A person (X-Operator-Id) with the key, a key, `policy` or `clock`.")
    project_id: UUID | None
    session_id: UUID | None
    run_id: UUID | None
    details: JsonDocument

    @classmethod
    def of(cls, row: AuditRow) -> "AuditRowOut":
        details = dict(row.details)
        return cls(
            id=row.id,
            at=row.at,
            action=row.action,
            actor=str(details.pop("actor", "")),
            project_id=row.project_id,
            session_id=row.session_id,
            run_id=row.run_id,
            details=details,
        )
