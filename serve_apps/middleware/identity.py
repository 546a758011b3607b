"""One id a request, and the headers that keep browsers from doing more with an answer than it is for."""

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from planvault.ports import Ids
from planvault.telemetry import request_context
from serve_apps import request_id

# Ray Serve reads these two from any client: one sets a deadline, the other detaches a request from its connection.
_REQUEST_ID = request_id.HEADER.lower().encode()
_REPLACED = frozenset({b"x-request-timeout-seconds", b"x-request-disconnect-disabled", _REQUEST_ID})

_SAFETY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
_HSTS = "max-age=31536000"  # of this name alone: what else the operator's domain holds is the operator's to say


class RequestIdentity:
    """Outermost. Gives the request its id, echoes it on every answer, and adds the safety headers.

    It stands in the application and, where Ray Serve's own proxy is the edge, in that as well: the proxy reads the
    headers that are stripped here, and adds a request id of its own beside ours.
    """

    def __init__(self, app: ASGIApp, ids: Ids, *, public_url: str = "") -> None:
        """`public_url`: where clients reach us; below https they are told never to come without."""
        self._app = app
        self._ids = ids
        secure = public_url.lower().startswith("https://")
        self._safety = {**_SAFETY, "Strict-Transport-Security": _HSTS} if secure else _SAFETY

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
                for name, value in self._safety.items():
                    headers.setdefault(name, value)
            await send(message)

        with request_context(chosen):
            await self._app(scope, receive, send_with_headers)
