"""Project keys: made, rotated, revoked. Their text is shown once."""

from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from models.audit import AuditAction
from models.base import JsonObject
from models.ids import KeyId
from models.tenants import ApiKey
from planvault.errors import FieldError, InvalidInput
from planvault.storage.idempotency import Answer
from planvault.storage.pool import Connection
from planvault.storage.tenancy import within
from serve_apps.changes import record
from serve_apps.dependencies import Actor, Caller, Deps, OnceKey, OrganisationProject, answers_of
from serve_apps.routes.answers import problems, respond, wire
from serve_apps.schemas.base import Page
from serve_apps.schemas.keys import CreateKey, KeyOut, NewKeyOut, RotateKey

router = APIRouter(prefix="/projects/{projectId}/keys", tags=["admin: keys"])


@router.get("", responses=problems())
async def list_keys(scope: OrganisationProject, deps: Deps) -> Page[KeyOut]:
    return Page[KeyOut](items=[KeyOut.of(key) for key in await deps.api_keys.all(scope)])


@router.post("", status_code=201, response_model=NewKeyOut, responses=problems(409))
async def create_key(
    body: CreateKey, scope: OrganisationProject, deps: Deps, key: OnceKey, actor: Actor, caller: Caller
) -> Response:
    """The key's text is in this answer and nowhere else. A project has one primary key (`primary`), with every scope,
    and beside it as many scoped ones as the platform allows (409 `QUOTA_REACHED`)."""
    if body.expires_at is not None and body.expires_at <= deps.clock.now():
        raise InvalidInput("The key would be dead", errors=(FieldError("/expiresAt", "must be in the future"),))

    async def insert(connection: Connection) -> Answer:
        if body.primary:
            made, secret = await deps.api_keys.create_primary(scope, body.name, connection, maker=caller.maker)
        else:
            made, secret = await deps.api_keys.create(
                scope, body.name, body.scopes, connection, expires_at=body.expires_at, maker=caller.maker
            )
        await record(deps, connection, scope, AuditAction.KEY_CREATED, actor, _details(made))
        return Answer(201, wire(NewKeyOut.with_text(made, secret.text)))

    return respond(await deps.idempotency.once(answers_of(scope), key, insert))


@router.post("/{keyId}/rotate", response_model=NewKeyOut, responses=problems(409))
async def rotate_key(
    keyId: UUID,  # noqa: N803 - the path's own name
    scope: OrganisationProject,
    deps: Deps,
    key: OnceKey,
    actor: Actor,
    caller: Caller,
    body: RotateKey | None = None,
) -> Response:
    """A new text under the same id. The old one ends within seconds, or after `graceSeconds`: time to roll out the new
    one. Rotating again ends it at once."""
    grace = timedelta(seconds=body.grace_seconds if body else 0)

    async def rotate(connection: Connection) -> Answer:
        made, secret = await deps.api_keys.rotate(scope, KeyId(keyId), connection, grace=grace, maker=caller.maker)
        what: JsonObject = {**_details(made), "graceSeconds": int(grace.total_seconds())}
        await record(deps, connection, scope, AuditAction.KEY_ROTATED, actor, what)
        return Answer(200, wire(NewKeyOut.with_text(made, secret.text)))

    return respond(await deps.idempotency.once(answers_of(scope), key, rotate))


@router.delete("/{keyId}", status_code=204, responses=problems())
async def revoke_key(
    keyId: UUID,  # noqa: N803 - the path's own name
    scope: OrganisationProject,
    deps: Deps,
    actor: Actor,
) -> None:
    """For good, within seconds, whichever text of it is used; open streams included."""
    async with within(deps.pool, scope) as connection:
        ended = await deps.api_keys.revoke(scope, KeyId(keyId), connection)
        await record(deps, connection, scope, AuditAction.KEY_REVOKED, actor, _details(ended))


def _details(key: ApiKey) -> JsonObject:
    return {
        "key": str(key.id),
        "name": key.name,
        "scopes": list(key.scopes),
        "primary": key.is_primary,
        "expiresAt": key.expires_at.isoformat() if key.expires_at else None,
    }
