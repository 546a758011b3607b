"""Service tokens of an organisation: made, rotated and revoked by people. Their text is shown once."""

from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from models.access import Maker, MakerKind, Role
from models.audit import AuditAction
from models.base import JsonObject
from models.ids import ServiceTokenId
from models.service_tokens import ServiceToken
from planvault.storage.idempotency import Answer
from planvault.storage.pool import Connection
from planvault.storage.tenancy import within
from serve_apps import paging
from serve_apps.changes import record
from serve_apps.dependencies import Actor, Deps, Grant, OnceKey, Organisation, answers_of
from serve_apps.left_behind import WithKeys, let_go
from serve_apps.routes.answers import problems, respond, wire
from serve_apps.schemas.base import Page
from serve_apps.schemas.keys import LeftBehindOut
from serve_apps.schemas.service_tokens import (
    CreateServiceToken,
    NewServiceTokenOut,
    RotateServiceToken,
    ServiceTokenOut,
)

router = APIRouter(prefix="/service-tokens", tags=["admin: service tokens"])


@router.post("", status_code=201, response_model=NewServiceTokenOut, responses=problems(409))
async def create_service_token(
    body: CreateServiceToken, scope: Organisation, grant: Grant, deps: Deps, key: OnceKey, actor: Actor
) -> Response:
    """For a program that manages this organisation. The token's text is in this answer and nowhere else."""
    life = timedelta(days=body.expires_in_days)

    async def create(connection: Connection) -> Answer:
        made, secret = await deps.service_tokens.create(
            connection,
            scope,
            body.name,
            body.role,
            life,
            by=_role(grant.role),
            created_by=actor,
            shown_to=grant.principal.user_id,
        )
        await record(deps, connection, scope, AuditAction.SERVICE_TOKEN_CREATED, actor, _details(made))
        return Answer(201, wire(NewServiceTokenOut.with_text(made, secret.text)))

    return respond(await deps.idempotency.once(answers_of(scope), key, create))


@router.get("", responses=problems())
async def list_service_tokens(
    scope: Organisation, deps: Deps, cursor: paging.Cursor = None, limit: paging.Limit = 50
) -> Page[ServiceTokenOut]:
    """Newest first, the revoked and expired ones included."""
    before = paging.decode_uuid(cursor)
    found = await deps.service_tokens.page(scope, None if before is None else ServiceTokenId(before), limit + 1)
    items = [ServiceTokenOut.of(token) for token in found[:limit]]
    more = len(found) > limit
    return Page[ServiceTokenOut](items=items, next_cursor=paging.encode(str(items[-1].id)) if more else None)


@router.get("/{tokenId}", responses=problems())
async def get_service_token(tokenId: UUID, scope: Organisation, deps: Deps) -> ServiceTokenOut:  # noqa: N803
    return ServiceTokenOut.of(await deps.service_tokens.get(scope, ServiceTokenId(tokenId)))


@router.post("/{tokenId}/rotate", response_model=NewServiceTokenOut, responses=problems(409))
async def rotate_service_token(
    tokenId: UUID,  # noqa: N803 - the path's own name
    scope: Organisation,
    grant: Grant,
    deps: Deps,
    key: OnceKey,
    actor: Actor,
    body: RotateServiceToken | None = None,
) -> Response:
    """A new text under the same id, name and role. The old one ends within seconds, or after `graceSeconds`: time to
    roll out the new one. Rotating again ends it at once."""
    asked = body or RotateServiceToken()
    life, grace = timedelta(days=asked.expires_in_days), timedelta(seconds=asked.grace_seconds)

    async def rotate(connection: Connection) -> Answer:
        made, secret = await deps.service_tokens.rotate(
            connection,
            scope,
            ServiceTokenId(tokenId),
            life,
            by=_role(grant.role),
            grace=grace,
            shown_to=grant.principal.user_id,
        )
        what: JsonObject = {**_details(made), "graceSeconds": asked.grace_seconds}
        await record(deps, connection, scope, AuditAction.SERVICE_TOKEN_ROTATED, actor, what)
        return Answer(200, wire(NewServiceTokenOut.with_text(made, secret.text)))

    return respond(await deps.idempotency.once(answers_of(scope), key, rotate))


@router.delete("/{tokenId}", responses=problems())
async def revoke_service_token(
    tokenId: UUID,  # noqa: N803 - the path's own name
    scope: Organisation,
    deps: Deps,
    actor: Actor,
    withKeys: WithKeys = False,  # noqa: N803 - as it stands in the query
) -> LeftBehindOut:
    """For good, within seconds, whichever text of it is used. The project keys that it has made go on, unless
    `withKeys` ends them with it; the answer names them. Repeated, it answers what is left."""
    async with within(deps.pool, scope) as connection:
        ended = await deps.service_tokens.revoke(connection, scope, ServiceTokenId(tokenId))
        await record(deps, connection, scope, AuditAction.SERVICE_TOKEN_REVOKED, actor, _details(ended))
        token = Maker(kind=MakerKind.SERVICE, token_id=ended.id)
        left = await let_go(deps, connection, scope, token, actor, end=withKeys)
    return LeftBehindOut.of(left)


def _role(role: Role | None) -> Role:
    """Routes of an organisation are granted to a role, always."""
    assert role is not None
    return role


def _details(token: ServiceToken) -> JsonObject:
    return {
        "token": str(token.id),
        "name": token.name,
        "role": token.role.value,
        "expiresAt": token.expires_at.isoformat(),
    }
