"""Where services call back: the signals that runs wait for. A token's own secret is the key here."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.responses import Response

from models.ids import ProjectId, TokenId
from planvault.storage.pool import transaction
from planvault.storage.signals import Delivery
from planvault.telemetry import current_request_id
from serve_apps.dependencies import Deps
from serve_apps.problems import MEDIA_TYPE
from serve_apps.routes.answers import Responses, problems
from serve_apps.schemas.base import JsonDocument
from serve_apps.schemas.signals import CallbackAnswer

router = APIRouter(prefix="/callbacks", tags=["signals"])

_token = HTTPBearer(auto_error=False, scheme_name="signal", description="A signal's `{tokenId}:{secret}`.")
_REFUSALS = {
    Delivery.CONFLICT: (409, "SIGNAL_PAYLOAD_CONFLICT", "The signal was delivered already, with another payload."),
    Delivery.EXPIRED: (410, "SIGNAL_EXPIRED", "Nobody waits for the signal any more."),
    Delivery.UNKNOWN: (404, "SIGNAL_NOT_FOUND", "There is no such token, or its secret is another."),
}
_ANSWERS: Responses = {
    **{status: text for status, text in problems(409, 410).items() if status not in {401, 403}},
    200: {
        "model": CallbackAnswer,
        "description": "Recorded, `{}`; or `SIGNAL_ALREADY_DELIVERED`: the same payload was recorded before.",
    },
}


@router.post(
    "/{tokenId}",
    response_model=CallbackAnswer,
    responses=_ANSWERS,
)
async def call_back(
    projectId: UUID,  # noqa: N803 - the path's own name
    tokenId: UUID,  # noqa: N803 - the path's own name
    body: Annotated[JsonDocument, Body(description="What the waiting run gets: any JSON object.")],
    request: Request,
    deps: Deps,
    _: Annotated[HTTPAuthorizationCredentials | None, Depends(_token)],
) -> Response:
    """Deliver a signal. `Authorization: Bearer {tokenId}:{secret}`; the same payload may be sent again."""
    secret = _secret(request.headers.get("Authorization"), tokenId)
    async with transaction(deps.pool) as connection:
        delivery, shard = await deps.callbacks.deliver(connection, ProjectId(projectId), TokenId(tokenId), secret, body)
    if shard is not None:
        await deps.commands.wake(shard)
    if delivery in _REFUSALS:
        return _refusal(*_REFUSALS[delivery])
    told = {} if delivery is Delivery.ACCEPTED else {"code": "SIGNAL_ALREADY_DELIVERED"}
    return JSONResponse(told)


def _secret(authorization: str | None, token_id: UUID) -> str:
    """What stands behind the token; nothing where the header is missing, or names another token than the path."""
    scheme, _, bearer = (authorization or "").partition(" ")
    named, _, secret = bearer.strip().partition(":")
    return secret if scheme.lower() == "bearer" and named.lower() == str(token_id) else ""


def _refusal(status: int, code: str, detail: str) -> Response:
    """A problem document; clients of this endpoint look for `code` at its top level."""
    body: dict[str, Any] = {
        "type": f"urn:planvault:problem:{code}",
        "title": detail,
        "status": status,
        "detail": detail,
        "instance": current_request_id(),
        "code": code,
    }
    return JSONResponse(body, status_code=status, media_type=MEDIA_TYPE)
