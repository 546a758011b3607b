"""Rate limits at the door. Two layers, since only behind the access gate it is known who asks.

`StrangerLimits` stands outside of it and counts what does not pass: credentials that are not known to be good, by
client address, so that guessing is slow; and a known caller's requests that the gate refuses. `CallerLimits` stands
inside and counts what passes. Plain ASGI, so that streams pass unbuffered.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from hashlib import blake2b
from http import HTTPStatus
from typing import TypeAlias

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from models.rate_limits import LimitName
from planvault.errors import RateLimited
from serve_apps import problems
from serve_apps.access.gate import Judged, judgement
from serve_apps.limits.meter import Verdict
from serve_apps.limits.parts import Limits

LimitsOf: TypeAlias = Callable[[Scope], Limits | None]
"""The replica's limits; None where they are off."""

_UNLIMITED = frozenset(
    {"/health"}
)  # a probe that is refused takes a replica out of service; its answer is kept instead
_PASSED = "planvault.passed"


class StrangerLimits:
    def __init__(self, app: ASGIApp, limits_of: LimitsOf) -> None:
        self._app = app
        self._limits_of = limits_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limits = None if scope["type"] != "http" else self._limits_of(scope)
        if limits is None or scope["path"] in _UNLIMITED:
            await self._app(scope, receive, send)
            return
        credential = _digest(Headers(scope=scope).get("authorization"))
        if credential in limits.known:
            await self._known(limits, credential, scope, receive, send)
        else:
            await self._unknown(limits, credential, scope, receive, send)

    async def _known(self, limits: Limits, credential: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Of these only what the gate refuses counts, afterwards; who has used that up is not looked up again."""
        refused = limits.of_stranger(LimitName.CREDENTIAL_REFUSED, credential.hex())
        verdict = limits.meter.peek(refused)
        if not verdict.admitted:
            await refusal(verdict)(scope, receive, send)
            return

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start" and judgement(scope) is None:
                limits.meter.charge(refused)
                if message["status"] == HTTPStatus.UNAUTHORIZED:
                    limits.known.forget(credential)
            await send(message)

        await self._app(scope, receive, watch)

    async def _unknown(self, limits: Limits, credential: bytes, scope: Scope, receive: Receive, send: Send) -> None:
        """Counts at once, and is given back where it passes: many guesses at a time are no way around.

        Of many requests at a time with one credential, which is one guess, the others count when they were refused.
        """
        stranger = limits.of_stranger(LimitName.ADDRESS_UNKNOWN, limits.clients.address(scope))
        with limits.known.first_seen(credential) as is_first:
            verdict = await limits.meter.take([stranger]) if is_first else limits.meter.peek(stranger)
            if not verdict.admitted:
                await refusal(verdict)(scope, receive, send)
                return
            counted = is_first

            def passed(judged: Judged) -> None:
                nonlocal counted
                if counted:
                    limits.meter.give_back(stranger)
                counted = False
                if judged.admitted is not None:
                    limits.known.remember(credential)

            async def watch(message: Message) -> None:
                refused = judgement(scope) is None or _is_guess(scope, message.get("status", 0))
                if message["type"] == "http.response.start" and refused and not counted:
                    limits.meter.charge(stranger)
                await send(message)

            scope.setdefault("state", {})[_PASSED] = passed
            await self._app(scope, receive, watch)


class CallerLimits:
    def __init__(self, app: ASGIApp, limits_of: LimitsOf) -> None:
        self._app = app
        self._limits_of = limits_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limits = None if scope["type"] != "http" else self._limits_of(scope)
        judged = judgement(scope)
        if limits is None or judged is None or scope["path"] in _UNLIMITED:
            await self._app(scope, receive, send)
            return
        if (passed := scope["state"].pop(_PASSED, None)) is not None:
            passed(judged)
        if judged.admitted is None:
            await self._open(limits, scope, receive, send)
        else:
            await self._admitted(limits, judged, scope, receive, send)

    async def _open(self, limits: Limits, scope: Scope, receive: Receive, send: Send) -> None:
        wanted = limits.of_stranger(LimitName.ADDRESS_OPEN, limits.clients.address(scope))
        verdict = await limits.meter.take([wanted])
        if not verdict.admitted:
            await refusal(verdict)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _admitted(self, limits: Limits, judged: Judged, scope: Scope, receive: Receive, send: Send) -> None:
        assert judged.admitted is not None
        granted, route = judged.admitted.granted, (judged.rule.method, judged.rule.path)
        wanted = await limits.of_caller(granted, route)
        holder = granted.principal.holder
        stream = next((one for one in wanted if one.name is LimitName.KEY_STREAMS), None)
        if stream is not None and limits.streams.is_full(holder, stream.quota):
            await too_many_streams(stream.quota.requests)(scope, receive, send)
            return
        verdict = await limits.meter.take(wanted)
        if not verdict.admitted:
            await refusal(verdict)(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _describe(verdict, MutableHeaders(scope=message))
            await send(message)

        with ExitStack() as held:
            if stream is not None:
                again = limits.meter.charge
                held.enter_context(limits.streams.one_more(holder, stream.quota, lambda: again(stream)))
            await self._app(scope, receive, with_headers)


def refusal(verdict: Verdict) -> Response:
    """429 with Retry-After (RFC 6585, RFC 9110): not one second too early, nor a whole one too late."""
    wait = verdict.retry_after_s
    error = RateLimited(
        f"The limit {verdict.name} of {verdict.quota.requests:,} requests in {verdict.quota.seconds:,} s is used up. "
        f"Try again in {wait:,} s."
    )
    answer = problems.answer_of(error)
    answer.headers["Retry-After"] = str(wait)
    _describe(verdict, answer.headers)
    return answer


def too_many_streams(most: int) -> Response:
    answer = problems.answer_of(RateLimited(f"{most:,} live streams are open with this key. Close one."))
    answer.headers["Retry-After"] = "1"
    return answer


def _describe(verdict: Verdict, headers: MutableHeaders) -> None:
    """The limit that is nearest to its end (draft-ietf-httpapi-ratelimit-headers-10)."""
    seconds = verdict.retry_after_s if not verdict.admitted else max(1, round(verdict.full_in_s))
    headers["RateLimit-Policy"] = f'"{verdict.name}";q={verdict.quota.requests};w={verdict.quota.seconds}'
    headers["RateLimit"] = f'"{verdict.name}";r={verdict.left};t={seconds}'


def _is_guess(scope: Scope, status: int) -> bool:
    """On an open route, whose handler knows secrets of another kind: it did not know this one."""
    judged = judgement(scope)
    return judged is not None and judged.admitted is None and status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND)


def _digest(authorization: str | None) -> bytes:
    return blake2b((authorization or "").encode("latin-1", "replace"), digest_size=16).digest()
