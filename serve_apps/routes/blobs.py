"""Results that were too large for the record, as the service sent them."""

from collections.abc import AsyncIterator
from uuid import UUID

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from models.ids import BlobId
from planvault.errors import NotFound
from serve_apps.dependencies import Deps, InSession
from serve_apps.routes.answers import Responses, problems

_BINARY = "application/octet-stream"
_JSON = "application/json"

router = APIRouter(prefix="/sessions/{sessionId}/blobs", tags=["history"])

_CONTENT: Responses = {
    200: {
        "description": "The stored bytes: `application/json` for JSON, else `application/octet-stream`. "
        "`ETag` is their SHA-256.",
        "content": {_JSON: {"schema": {}}, _BINARY: {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get("/{blobId}", response_class=StreamingResponse, responses=_CONTENT | problems())
async def get_blob(blobId: UUID, scope: InSession, deps: Deps) -> StreamingResponse:  # noqa: N803 - the path's own name
    """A tool's large result: `tool_end` names it as `blobId`. Streamed; it goes when its session goes."""
    await deps.sessions.get(scope)
    blob_id = BlobId(blobId)
    head = await deps.blobs.head(scope, blob_id)
    if not head.kept or head.purpose != "result":
        raise NotFound("There is no such stored result in this session.")  # half of one, or what a plan made of it
    parts = deps.blobs.parts(scope, blob_id, head.chunks)
    first = await anext(parts)  # what cannot be read is an error and not a body that breaks off
    headers = {
        "Content-Length": str(head.size),
        "ETag": f'"{head.sha256}"',
        "Cache-Control": "private, no-store",
        # It is a third party's: no browser may take it for a page of ours.
        "Content-Disposition": f'attachment; filename="{blob_id}"',
        "X-Content-Type-Options": "nosniff",
    }
    is_json = head.media_type.partition(";")[0].strip().lower().endswith("json")
    return StreamingResponse(_all(first, parts), media_type=_JSON if is_json else _BINARY, headers=headers)


async def _all(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for part in rest:
        yield part
