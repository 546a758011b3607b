"""What every request passes, whatever its route: identity, safety headers, a body limit, a boundary for bugs.

Plain ASGI: a middleware that wraps responses would buffer the event stream.
"""

from collections.abc import Callable

import structlog
from sse_starlette.sse import SendTimeoutError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from planvault.clock import TimeOrderedIds
from planvault.errors import Unavailable
from planvault.ports import Ids
from planvault.storage.pool import is_away
from planvault.telemetry import request_context
from serve_apps import problems, request_id

_log = structlog.get_logger(__name__)

# Ray Serve reads these two from any client: one sets a deadline, the other detaches a request from its connection.
_REQUEST_ID = request_id.HEADER.lower().encode()
_REPLACED = frozenset({b"x-request-timeout-seconds", b"x-request-disconnect-disabled", _REQUEST_ID})

_AWAY = "A part of the platform does not answer now. Try again, with the same Idempotency-Key where you gave one."
_SAFETY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}


class RequestIdentity:
    """Outermost. Gives the request its id, echoes it on every answer, and adds the safety headers.

    It stands in the application and, where Ray Serve's own proxy is the edge, in that as well: the proxy reads the
    headers that are stripped here, and adds a request id of its own beside ours.
    """

    def __init__(self, app: ASGIApp, ids: Ids) -> None:
        self._app = app
        self._ids = ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        chosen = request_id.choose(Headers(scope=scope), self._ids)
        kept = [(name, value) for name, value in scope["headers"] if name.lower() not in _REPLACED]
        scope["headers"] = [*kept, (_REQUEST_ID, chosen.encode())]

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[request_id.HEADER] = chosen
                for name, value in _SAFETY.items():
                    headers.setdefault(name, value)
            await send(message)

        with request_context(chosen):
            await self._app(scope, receive, send_with_headers)


def proxy_middlewares() -> list[Middleware]:
    """For Ray Serve's proxy: `RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH=serve_apps.middleware.proxy_middlewares`."""
    return [Middleware(RequestIdentity, ids=TimeOrderedIds())]


class BugBoundary:
    """Inside CORS, so that a browser can read the answer. Turns what nobody foresaw into a bare 500.

    A database that is away is foreseen: it can come at any query, and trying again helps.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def watch(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except SendTimeoutError:  # the stream ends here, and the viewer resumes when it comes back
            _log.info("viewer_stalled", path=scope["path"])
        except Exception as error:  # noqa: BLE001 - the last boundary of a request: logged here, hidden from the client
            away = is_away(error)
            if away:  # of every request at once: a line each is enough
                _log.warning("part_away", method=scope["method"], path=scope["path"], cause=type(error).__name__)
            else:
                _log.error("request_crashed", method=scope["method"], path=scope["path"], exc_info=error)
            if not started:
                answer = problems.answer_of(Unavailable(_AWAY)) if away else problems.unexpected()
                await answer(scope, receive, send)


class BodyLimit:
    """Refuses a body above the path's limit: at once by its declared length, else as it grows."""

    def __init__(self, app: ASGIApp, limit_for: Callable[[str], int]) -> None:
        self._app = app
        self._limit_for = limit_for

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit_for(scope["path"])
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
            await _too_large(limit)(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                # The framework passes on HTTPException and turns anything else raised here into a 400.
                raise HTTPException(413, _limit_text(limit))
            return message

        await self._app(scope, counted, send)


def _limit_text(limit: int) -> str:
    return f"The request body is larger than {limit:,} bytes."


def _too_large(limit: int) -> ASGIApp:
    return problems.problem(413, "PAYLOAD_TOO_LARGE", "The payload is larger than the limit", _limit_text(limit))
