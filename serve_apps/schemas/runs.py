"""Runs on the wire."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from models.base import JsonObject
from models.runs import RunStatus
from planvault.storage.runs import RunRecord
from serve_apps.schemas.base import JsonDocument, Reply


class RunOut(Reply):
    id: UUID
    status: RunStatus
    is_open: bool
    plan_hash: str | None
    pending: JsonDocument | None = Field(description="The open question of a waiting run.")
    reason: str | None
    created_at: datetime
    updated_at: datetime
    duration_ms: float = Field(description="From the run's first event to its last so far.")

    @classmethod
    def of(cls, run: RunRecord) -> "RunOut":
        return cls(
            id=run.id,
            status=run.status,
            is_open=run.is_open,
            plan_hash=run.plan_hash,
            pending=_without_ballot(run.pending),
            reason=run.reason,
            created_at=run.created_at,
            updated_at=run.updated_at,
            duration_ms=(run.updated_at - run.created_at).total_seconds() * 1_000,
        )


def _without_ballot(pending: JsonObject | None) -> JsonObject | None:
    """Who may vote, by name, is for the API to check and not for every reader."""
    return None if pending is None else {name: value for name, value in pending.items() if name != "ballot"}
