"""Bounds of a request's body: its size, its encoding, and the time that its sender may take."""

import asyncio
from collections.abc import Callable
from time import monotonic

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_apps import problems

GRACE_S = 15.0
SLOWEST = 8 * 1024  # bytes a second beyond the grace


class BodyGuard:
    """Refuses a body that is encoded (415), larger than the path's limit (413), or too slow (408).

    By its declared length it is refused at once, else as it grows. No body is ever decompressed, so that none is
    larger than what came in.
    """

    def __init__(self, app: ASGIApp, limit_for: Callable[[str], int], *, grace_s: float = GRACE_S) -> None:
        self._app = app
        self._limit_for = limit_for
        self._grace_s = grace_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        limit = self._limit_for(scope["path"])
        encodings = {each.strip().lower() for each in ",".join(headers.getlist("content-encoding")).split(",")}
        if encodings - {"", "identity"}:
            detail = "Send the body as it is, without Content-Encoding."
            answer = problems.problem(415, "UNSUPPORTED_MEDIA_TYPE", "Unsupported Media Type", detail)
            await answer(scope, receive, send)
            return
        declared = headers.get("content-length", "")
        if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
            await _too_large(limit)(scope, receive, send)
            return
        await self._app(scope, self._counted(receive, limit), send)

    def _counted(self, receive: Receive, limit: int) -> Receive:
        seen, began, complete = 0, monotonic(), False

        async def counted() -> Message:
            """The framework passes on HTTPException, and turns anything else raised here into a 400."""
            nonlocal seen, complete
            if complete:  # now it is waited for the client to leave
                return await receive()
            left_s = began + self._grace_s + seen / SLOWEST - monotonic()
            try:
                async with asyncio.timeout(max(0.0, left_s)):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, "The body came too slowly.", headers={"Connection": "close"}) from None
            seen += len(message.get("body", b""))
            complete = not message.get("more_body", False)
            if seen > limit:
                raise HTTPException(413, _limit_text(limit))
            return message

        return counted


def _limit_text(limit: int) -> str:
    return f"The request body is larger than {limit:,} bytes."


def _too_large(limit: int) -> ASGIApp:
    return problems.problem(413, "PAYLOAD_TOO_LARGE", "The payload is larger than the limit", _limit_text(limit))
