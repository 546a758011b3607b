"""Bounds of a request's line and headers. The server in front has none (docs/edge.md): it only parses."""

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from serve_apps import problems

MAX_TARGET = 8 * 1024  # RFC 9110, 4.1 recommends that so much is understood
MAX_HEADERS = 100
MAX_HEADER = 16 * 1024  # a token with many claims, or a cookie that is nobody's here
MAX_HEAD = 32 * 1024
_LISTS_SERVE = "/-/routes"
# A header that has one value (RFC 9110, 5.3; RFC 9112, 3.2). Of two, what stands in front may have judged the other.
_ONCE = (b"authorization", b"content-type", b"host", b"idempotency-key", b"last-event-id", b"x-operator-id")


class HeadGuard:
    """Refuses what is longer: 414 (RFC 9110), 431 (RFC 6585), and what says two things at once: 400.

    In Serve's proxy also what that tells of itself.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (refused := _refusal(scope)) is not None:
            await refused(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _refusal(scope: Scope) -> Response | None:
    target = len(scope.get("raw_path") or scope["path"].encode()) + len(scope.get("query_string", b""))
    if target > MAX_TARGET:
        return problems.problem(
            414, "URI_TOO_LONG", "The address is too long", f"Path and query may have {MAX_TARGET:,} bytes."
        )
    headers = scope["headers"]
    sizes = [len(name) + len(value) for name, value in headers]
    if len(sizes) > MAX_HEADERS or sum(sizes) > MAX_HEAD or max(sizes, default=0) > MAX_HEADER:
        detail = f"At most {MAX_HEADERS} headers of {MAX_HEADER:,} bytes each and {MAX_HEAD:,} bytes together."
        return problems.problem(431, "HEADERS_TOO_LARGE", "The headers are too large", detail)
    names = [name for name, _ in headers]
    if twice := next((name for name in _ONCE if names.count(name) > 1), None):
        return problems.problem(400, "MALFORMED_REQUEST", "Bad Request", f"The header {twice.decode()} stands twice.")
    if scope["path"] == _LISTS_SERVE:
        return problems.problem(404, "NOT_FOUND", "Not Found", "Not Found")
    return None
