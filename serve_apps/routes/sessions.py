"""Sessions: open, look up, give secrets, close."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from models.commands import Action, CommandKind
from models.ids import SessionId
from models.runs import SessionStatus
from models.tenants import SessionScope
from planvault.storage.idempotency import Answer
from planvault.storage.pool import Connection
from planvault.storage.sessions import SessionFilter
from planvault.storage.tenancy import within
from serve_apps import paging
from serve_apps.dependencies import (
    Actor,
    Deps,
    InProject,
    InSession,
    OnceKey,
    answers_of,
)
from serve_apps.routes.answers import problems, respond, wire
from serve_apps.routes.secret_changes import change_secrets
from serve_apps.schemas.base import Name, Page
from serve_apps.schemas.sessions import CreateSession, PatchSession, PutSecrets, SessionOut

router = APIRouter(prefix="/sessions", tags=["sessions"])


@router.post("", status_code=201, response_model=SessionOut, responses=problems(409))
async def create_session(body: CreateSession, scope: InProject, deps: Deps, key: OnceKey) -> Response:
    """Open a conversation."""
    session_id = SessionId(deps.ids.new())
    session = SessionScope(org_id=scope.org_id, project_id=scope.project_id, session_id=session_id)

    async def insert(connection: Connection) -> Answer:
        record = await deps.sessions.insert(connection, scope, session_id, body.draft())
        await deps.secrets.put(session, body.secrets, connection)
        return Answer(201, wire(SessionOut.of(record)))

    return respond(await deps.idempotency.once(answers_of(scope), key, insert))


@router.get("", responses=problems())
async def list_sessions(
    scope: InProject,
    deps: Deps,
    tag: Annotated[Name | None, Query()] = None,
    status: Annotated[SessionStatus | None, Query()] = None,
    external_user: Annotated[Name | None, Query(alias="externalUser")] = None,
    cursor: paging.Cursor = None,
    limit: paging.Limit = 50,
) -> Page[SessionOut]:
    """Newest first. A page of large sessions holds fewer than `limit`; `nextCursor` says whether there are more."""
    before = paging.decode_uuid(cursor)
    chosen = SessionFilter(tag, status, external_user)
    found, more = await deps.sessions.page(scope, chosen, SessionId(before) if before else None, limit)
    items = [SessionOut.of(record) for record in found]
    return Page[SessionOut](items=items, next_cursor=paging.encode(str(items[-1].id)) if more else None)


@router.get("/{sessionId}", responses=problems())
async def get_session(scope: InSession, deps: Deps) -> SessionOut:
    return SessionOut.of(await deps.sessions.get(scope))


@router.patch("/{sessionId}", responses=problems())
async def close_session(_: PatchSession, scope: InSession, deps: Deps, actor: Actor) -> SessionOut:
    """Close the session; what still runs in it is cancelled. Closing it again changes nothing."""
    async with within(deps.pool, scope) as connection:
        shard = await deps.sessions.close(connection, scope)
        if shard is not None:
            await deps.commands.enqueue(connection, scope, CommandKind.CLOSE, Action(actor=actor))
    if shard is not None:
        await deps.commands.wake(shard)
    return SessionOut.of(await deps.sessions.get(scope))


@router.put("/{sessionId}/secrets", status_code=204, responses=problems(409))
async def put_secrets(body: PutSecrets, scope: InSession, deps: Deps, actor: Actor) -> None:
    """Add or replace secrets of this session; the others stay. Values never come back out.

    A run that waits for a credential calls again.
    """
    await change_secrets(deps, scope, body, actor)
