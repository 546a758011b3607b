"""History on the wire: every event's payload fields stand beside its own, and whole under `payload`."""

from typing import Any

from pydantic import ConfigDict, Field

from models.base import JsonObject
from models.events import EventType
from planvault.storage.history import HistoryEvent
from serve_apps.schemas.base import Reply


class HistoryEventOut(Reply):
    """`payload` has the event's fields; they are repeated at this level, where its own names win."""

    model_config = ConfigDict(extra="allow")

    event_type: EventType
    seq: int = Field(description="Gapless within engine and history events together; the `id:` of the stream.")
    created_at: str
    payload: dict[str, Any]


class HistoryOut(Reply):
    """Without a cursor: the newest 1,000 events, in order."""

    events: list[HistoryEventOut]
    older_cursor: str | None = Field(default=None, description="Send as `cursor` for the events before these.")
    newer_cursor: str | None = Field(default=None, description="Send as `cursor` for what happened after these.")


def event_json(event: HistoryEvent) -> JsonObject:
    """As it goes over the wire. Built by hand: a thousand events a poll need no second validation."""
    return {
        **event.payload,
        "eventType": event.type.value,
        "seq": event.seq,
        "createdAt": event.at.isoformat(),
        "runId": event.payload.get("runId", str(event.run_id) if event.run_id else None),
        "payload": event.payload,
    }
