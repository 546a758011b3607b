"""Reads one document of a bulk import off the wire: compressed as it comes, never held whole."""

import hashlib
import zlib

from starlette.exceptions import HTTPException
from starlette.requests import Request

from planvault.errors import InvalidInput, TooLarge
from planvault.ingestion.parse import MAX_BYTES
from planvault.storage.bulk_imports import Upload

# What is kept of a document. Descriptions shrink to a tenth; what does not shrink at all is none.
MAX_COMPRESSED = MAX_BYTES // 2
_LEVEL = 1  # of ten times the size per second, for a sixth more bytes


async def read(request: Request, path: str) -> Upload:
    """Raises InvalidInput for an empty body, TooLarge, HTTPException 415 for an encoded one."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise HTTPException(415, "Send the document as it is, without Content-Encoding.")
    digest, press = hashlib.sha256(), zlib.compressobj(_LEVEL)
    kept = bytearray()
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        digest.update(chunk)
        kept += press.compress(chunk)
        _refuse_noise(kept)
    if size == 0:
        raise InvalidInput("The body is empty: send the document itself.")
    kept += press.flush()
    _refuse_noise(kept)
    return Upload(path, digest.hexdigest(), size, bytes(kept))


def _refuse_noise(kept: bytearray) -> None:
    if len(kept) > MAX_COMPRESSED:
        raise TooLarge("The document does not compress, so it is no API description.")
