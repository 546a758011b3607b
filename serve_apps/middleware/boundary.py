"""Where what nobody foresaw ends: a bare 500 outside, all of it in the log."""

import structlog
from sse_starlette.sse import SendTimeoutError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from planvault.errors import Unavailable
from planvault.storage.pool import is_away
from serve_apps import problems

_log = structlog.get_logger(__name__)

_AWAY = "A part of the platform does not answer now. Try again, with the same Idempotency-Key where you gave one."


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
