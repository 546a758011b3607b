"""What routes declare and return in common."""

from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from starlette.responses import Response

from models.base import JsonObject
from planvault.storage.idempotency import Answer
from serve_apps.problems import MEDIA_TYPE
from serve_apps.schemas.base import Reply

Responses = dict[int | str, dict[str, Any]]


def problems(*statuses: int) -> Responses:
    """Problem responses for the OpenAPI document; every route has those of its caller and of its input."""
    return {
        status: {
            "description": HTTPStatus(status).phrase,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status in sorted({400, 401, 403, 404, 408, 413, 414, 415, 422, 429, 431, 500, 503, *statuses})
    }


def wire(reply: Reply) -> JsonObject:
    body: JsonObject = reply.model_dump(mode="json", by_alias=True)
    return body


def respond(answer: Answer) -> Response:
    if answer.body is None:
        return Response(status_code=answer.status)
    return JSONResponse(answer.body, status_code=answer.status)
