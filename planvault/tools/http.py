"""Calls an HTTP operation, once.

At most one request of a writing method leaves per `execute`: nothing here retries, the client below sends once, and
only GET and HEAD follow redirects. How a failure is classified decides what recovery may do (design, "Runs").
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import assert_never

import httpx

from models.results import Stored
from models.tools import HttpBinding, NativeBinding, ToolCallFailure, ToolFailed, ToolOutcome, ToolSucceeded
from planvault.errors import EgressDenied, NotFound, PlanVaultError, TooLarge
from planvault.net.body import parts_of, read_bounded
from planvault.net.client import GuardedHttp, sent_nothing
from planvault.ports import Clock, ToolCall
from planvault.redact import Redactor
from planvault.tools.binding import SecretBinder
from planvault.tools.large import LargeResults, NotStored
from planvault.tools.request import InvalidArguments, PreparedRequest, build_request
from planvault.tools.response import Answer, failure, success

MAX_REDIRECTS = 5
OFF_LOOP_BYTES = 64 * 1024  # a larger body is parsed in a thread; one over INLINE_BYTES never comes so far
MAX_ERROR_BYTES = 64 * 1024


class HttpExecutor:
    """Implements the ToolExecutor port for tools with an HttpBinding.

    Without `large`, or for a call without a place, results stay in memory whatever their size.
    """

    def __init__(
        self, client: GuardedHttp, redactor: Redactor, clock: Clock, large: LargeResults | None = None
    ) -> None:
        self._client = client
        self._redactor = redactor
        self._clock = clock
        self._large = large

    async def execute(self, call: ToolCall) -> ToolOutcome:
        """The call's outcome; only cancellation and faults of our own raise."""
        match call.tool.binding:
            case HttpBinding() as binding:
                return await self._execute(call, binding)
            case NativeBinding():
                raise TypeError(f"{call.tool.name} is no HTTP tool")
            case unknown:
                assert_never(unknown)

    async def _execute(self, call: ToolCall, binding: HttpBinding) -> ToolOutcome:
        if not call.target.state.enabled:
            return _rejected("INTEGRATION_DISABLED", "The integration is switched off for this project.")
        binder = SecretBinder(call.secret)
        try:
            args = await binder.args(call.args)
            auth = await binder.templates(call.target.state.auth_headers)
            request = build_request(
                binding,
                call.tool.params,
                args,
                call.target.base_url,
                auth=auth,
                idempotency_key=call.idempotency_key,
            )
        except NotFound as fault:
            return ToolFailed(failure=ToolCallFailure.CREDENTIAL, code="SECRET_MISSING", message=fault.detail)
        except InvalidArguments as fault:
            return _rejected("INVALID_ARGUMENTS", str(fault))
        except PlanVaultError as fault:
            kind = ToolCallFailure.NOT_SENT if fault.retryable else ToolCallFailure.REJECTED
            return ToolFailed(failure=kind, code=fault.code, message=fault.detail)
        # Logs of this process know the values while the call runs. What the tenant sees is cleaned of this call's own
        # values only: a redactor shared with other calls would show which guesses are another tenant's secrets.
        with self._redactor.bound(binder.values):
            return await self._send(call, request, binder.values)

    async def _send(self, call: ToolCall, request: PreparedRequest, secrets: Sequence[str]) -> ToolOutcome:
        started = self._clock.monotonic()
        masked = tuple(dict.fromkeys((*secrets, *call.masked)))
        own = Redactor(masked) if masked else None
        clean = own.clean if own else str
        try:
            answer = await self._exchange(call, request, clean)
        except EgressDenied as fault:
            return _rejected(fault.code, clean(fault.detail))
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            return _rejected("INVALID_URL", "The integration's base URL and the tool's path make no valid URL.")
        except TooLarge:
            return ToolFailed(
                failure=ToolCallFailure.ANSWERED,
                code="RESPONSE_TOO_LARGE",
                message=f"The service answered with more than {call.limits.max_result_bytes:,} bytes.",
                duration_ms=self._since(started),
            )
        except NotStored as fault:
            return _not_kept(fault, self._since(started))
        except httpx.TooManyRedirects:
            return ToolFailed(
                failure=ToolCallFailure.ANSWERED,
                code="TOO_MANY_REDIRECTS",
                message=f"The service redirected more than {MAX_REDIRECTS} times.",
                duration_ms=self._since(started),
            )
        except httpx.HTTPError as fault:
            return _network_failure(fault, self._since(started), clean)
        duration = self._since(started)
        if not 200 <= answer.status < 300:
            outcome = failure(answer, duration, clean, self._clock.now())
            refused = answer.status == httpx.codes.UNAUTHORIZED and secrets  # one of ours does not work (any more)
            return outcome.model_copy(update={"failure": ToolCallFailure.CREDENTIAL}) if refused else outcome
        if isinstance(answer.body, Stored):
            return await self._settle(call, answer, answer.body, masked, duration)
        if len(answer.body or b"") > OFF_LOOP_BYTES:
            return await asyncio.to_thread(success, answer, duration, own)
        return success(answer, duration, own)

    async def _exchange(self, call: ToolCall, request: PreparedRequest, clean: Callable[[str], str]) -> Answer:
        """The one request. Raises httpx.HTTPError, EgressDenied, TooLarge."""
        async with self._client.stream(
            request.method,
            request.url,
            policy=call.target.egress,
            headers=request.headers,
            content=request.content,
            timeout=call.tool.timeout_s,
            max_redirects=MAX_REDIRECTS if request.method in {"GET", "HEAD"} else 0,
        ) as response:
            if 200 <= response.status_code < 300:
                return Answer(response.status_code, response.headers, await self._body(call, response, clean))
            return Answer(response.status_code, response.headers, await _error_body(response))

    async def _body(self, call: ToolCall, response: httpx.Response, clean: Callable[[str], str]) -> bytes | Stored:
        limit = call.limits.max_result_bytes
        if self._large is None or call.place is None:
            return await read_bounded(response, limit)
        media_type = clean(response.headers.get("Content-Type", ""))  # kept beside the blob, in the record
        return await self._large.receive(call.place, parts_of(response, limit), media_type)

    async def _settle(
        self, call: ToolCall, answer: Answer, spooled: Stored, secrets: Sequence[str], duration_ms: float
    ) -> ToolOutcome:
        """The exchange is over and the connection back; what remains is ours, and no part of the tool's deadline."""
        if self._large is None or call.place is None:
            raise AssertionError("who spooled the body can settle it")
        try:
            stored = await self._large.settle(call.place, spooled, secrets)
        except NotStored as fault:
            return _not_kept(fault, duration_ms, answer.status)
        return ToolSucceeded(stored=stored, status=answer.status, size=spooled.size, duration_ms=duration_ms)

    def _since(self, started: float) -> float:
        return round((self._clock.monotonic() - started) * 1000, 3)


def _network_failure(fault: httpx.HTTPError, duration_ms: float, clean: Callable[[str], str]) -> ToolFailed:
    """Not sent where that is certain; everything else that breaks leaves the outcome unknown."""
    reason = clean(str(fault))[:300] or type(fault).__name__
    if sent_nothing(fault):
        kind, code = ToolCallFailure.NOT_SENT, "CONNECT_FAILED"
        message = f"No connection to the service: {reason}"
    elif isinstance(fault, httpx.TimeoutException):
        kind, code = ToolCallFailure.UNKNOWN, "TIMEOUT"
        message = f"The service did not answer in time: {reason}"
    else:
        kind, code = ToolCallFailure.UNKNOWN, "CONNECTION_LOST"
        message = f"The connection broke before the answer was complete: {reason}"
    return ToolFailed(failure=kind, code=code, message=message, duration_ms=duration_ms)


def _not_kept(fault: NotStored, duration_ms: float, status: int | None = None) -> ToolFailed:
    """The service has answered: asking again would be a second effect, and is not ours to decide."""
    return ToolFailed(
        failure=ToolCallFailure.ANSWERED,
        code=fault.refusal,
        message=fault.detail,
        status=status,
        duration_ms=duration_ms,
    )


async def _error_body(response: httpx.Response) -> bytes | None:
    """An error's status is the outcome; a body that breaks or is too long does not change it."""
    try:
        return await read_bounded(response, MAX_ERROR_BYTES)
    except (TooLarge, httpx.HTTPError):
        return None


def _rejected(code: str, message: str) -> ToolFailed:
    return ToolFailed(failure=ToolCallFailure.REJECTED, code=code, message=message)
