"""A session's record, as its users see it."""

from typing import Annotated

import orjson
from fastapi import APIRouter, Query
from starlette.responses import Response

from models.tenants import SessionScope
from planvault.storage.history import HistoryEvent
from serve_apps import paging
from serve_apps.dependencies import ApiDeps, Deps, InSession
from serve_apps.routes.answers import problems
from serve_apps.schemas.history import HistoryOut, event_json

NEWEST = 1_000
_OLDER, _NEWER = "older:", "newer:"

router = APIRouter(prefix="/sessions/{sessionId}/history", tags=["history"])


@router.get("", response_model=HistoryOut, responses=problems())
async def get_history(
    scope: InSession,
    deps: Deps,
    cursor: Annotated[
        str | None, Query(max_length=200, description="`olderCursor` or `newerCursor` of an answer.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=NEWEST)] = NEWEST,
) -> Response:
    """The newest 1,000 events in order. A poller always finds `done` here; a reader pages with the cursors."""
    await deps.sessions.get(scope)
    events = await _page(deps, scope, cursor, limit)
    older = bool(events) and await deps.history.has_before(scope, events[0].seq)
    body = {
        "events": [event_json(event) for event in events],
        "olderCursor": paging.encode(f"{_OLDER}{events[0].seq}") if older else None,
        "newerCursor": paging.encode(f"{_NEWER}{events[-1].seq}") if events else cursor,
    }
    return Response(orjson.dumps(body), media_type="application/json")


async def _page(deps: ApiDeps, scope: SessionScope, cursor: str | None, limit: int) -> list[HistoryEvent]:
    if cursor is None:
        return await deps.history.newest(scope, None, limit)
    position = paging.decode(cursor)
    for prefix in (_OLDER, _NEWER):
        seq = position.removeprefix(prefix)
        if position.startswith(prefix) and seq.isascii() and seq.isdigit() and len(seq) < 19:
            read = deps.history.newest if prefix == _OLDER else deps.history.after
            return await read(scope, int(seq), limit)
    raise paging.bad_cursor()
