"""The live stream of a session (Server-Sent Events)."""

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from planvault.errors import FieldError, InvalidInput
from serve_apps.access.gate import admitted
from serve_apps.dependencies import Deps, InSession
from serve_apps.routes.answers import Responses, problems

PING_S = 15
# A viewer that takes nothing for this long is gone; it resumes with Last-Event-ID when it comes back.
STALLED_S = 60

router = APIRouter(prefix="/sessions/{sessionId}/chat", tags=["chat"])

# Before OpenAPI 3.2 the schema of an event stream is that of each event.
_EVENT = {
    "type": "object",
    "required": ["event", "data"],
    "properties": {
        "id": {"type": "string", "pattern": "^[0-9]+$"},
        "event": {"type": "string"},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
_STREAM: Responses = {
    200: {
        "description": "`event:` names the event, `id:` is its history seq, `data:` one line of JSON; "
        "`ping` keeps the connection open.",
        "content": {"text/event-stream": {"schema": _EVENT}},
    },
    204: {"description": "The session is closed and the viewer has seen all of it: do not reconnect."},
}


@router.get("", response_class=EventSourceResponse, responses=_STREAM | problems())
async def chat(
    request: Request,
    scope: InSession,
    deps: Deps,
    header: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
    query: Annotated[
        str | None, Query(alias="lastEventId", description="As the header, which wins; for clients that cannot set it.")
    ] = None,
) -> Response:
    """What has happened in the session since the last event seen (all of it, without one), then what happens.

    It is closed within 5 s for who may no longer read the session; coming back is then refused."""
    asked = _position(header if header is not None else query)
    session = await deps.sessions.get(scope)
    # Beyond the end nothing would ever follow: such a position (of another session, or of a database that was
    # restored from a backup) is read as the end.
    heads = await deps.history.heads([(scope.org_id, scope.session_id)])
    seen = min(asked, heads.get(scope.session_id, 0))
    if await deps.sessions.is_settled(scope) and not await deps.history.after(scope, seen, 1):
        return Response(status_code=204)
    return EventSourceResponse(
        deps.chats.stream(scope, session.shard, seen, admitted(request).again),
        ping=PING_S,
        ping_message_factory=lambda: ServerSentEvent("{}", event="ping", sep="\n"),
        sep="\n",
        send_timeout=STALLED_S,
    )


def _position(last_event_id: str | None) -> int:
    """An empty id means the beginning: that is what a browser's EventSource holds before the first event."""
    if not last_event_id:
        return 0
    if last_event_id.isascii() and last_event_id.isdigit() and len(last_event_id) < 19:
        return int(last_event_id)
    raise InvalidInput(
        "The position to resume from is not valid.",
        errors=(FieldError("", "Last-Event-ID must be the `id:` of an event of this stream"),),
    )
