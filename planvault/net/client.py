"""The one way out: HTTP requests under an organisation's egress policy.

It sends each request once. httpcore is told not to retry, redirects are followed only where asked, each hop checked
again; no cookies, no proxies and no credentials from the environment. Whoever calls decides whether to try again, and
`sent_nothing` says when that is safe.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

import httpx

import planvault
from models.policies import EgressPolicy
from planvault.errors import EgressDenied
from planvault.net.ceiling import OPEN, EgressCeiling
from planvault.net.guard import check_url
from planvault.net.pinned import Resolver, system_resolver
from planvault.net.redirects import next_request
from planvault.net.transport import GuardedTransport

CONNECT_TIMEOUT_S = 10.0
_TRANSPORTS_KEPT = 256
_DEFAULT_HEADERS = {
    "User-Agent": f"PlanVault/{planvault.__version__}",
    "Accept": "*/*",
    "Accept-Encoding": "gzip, deflate",  # what planvault.net.body opens under a bound
}
# Follow from the URL and the body. A `Host` of the caller's would reach another site behind the checked address.
_OURS = frozenset({"host", "content-length", "transfer-encoding", "connection", "proxy-authorization"})

Headers = Mapping[str, str] | Iterable[tuple[str, str]]


def sent_nothing(error: BaseException) -> bool:
    """Whether no byte of the request left, provably: the only failures after which any request may be repeated."""
    return isinstance(
        error,
        EgressDenied
        | httpx.ConnectError
        | httpx.ConnectTimeout
        | httpx.PoolTimeout
        | httpx.UnsupportedProtocol
        | httpx.InvalidURL,
    )


class GuardedHttp:
    """One a process (an event loop). Keeps one connection pool a policy: no policy uses another's connections."""

    def __init__(
        self,
        *,
        resolver: Resolver = system_resolver,
        ssl_context: ssl.SSLContext | None = None,
        ceiling: EgressCeiling = OPEN,
    ) -> None:
        self._resolver = resolver
        self._ceiling = ceiling
        self._ssl_context = ssl_context or httpx.create_ssl_context()  # SSL_CERT_FILE, else certifi
        self._transports: dict[EgressPolicy, GuardedTransport] = {}

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str | httpx.URL,
        *,
        policy: EgressPolicy,
        headers: Headers = (),
        content: bytes | None = None,
        timeout: float = 30.0,  # noqa: ASYNC109 - a deadline for the body as well, which the caller reads
        max_redirects: int = 0,
    ) -> AsyncIterator[httpx.Response]:
        """Send once and give the response, its body unread (`planvault.net.body.read_bounded` reads it).

        `timeout` seconds are for everything: look-up, connection, request, response and the caller's reading.
        Raises EgressDenied, and httpx.HTTPError for what the network does; a 4xx or 5xx is a response, not an error.
        """
        deadline = asyncio.timeout(timeout)
        progress = _Progress()
        request = _request(method, url, headers, content, timeout, progress)
        try:
            async with deadline, AsyncExitStack() as stack:
                yield await self._follow(request, policy, stack, max_redirects)
        except TimeoutError as error:
            if not deadline.expired():
                raise  # the caller's own
            kind = httpx.ReadTimeout if progress.is_sending else httpx.ConnectTimeout
            raise kind(f"No complete answer within {timeout:g} s", request=request) from error

    def transport(self, policy: EgressPolicy) -> GuardedTransport:
        """For a library that brings its own httpx.AsyncClient: `AsyncClient(transport=…, trust_env=False)`."""
        found = self._transports.pop(policy, None)
        if found is None:
            found = GuardedTransport(policy, self._resolver, self._ssl_context, self._ceiling)
        self._transports[policy] = found  # newest last
        return found

    def forbids(self, url: str, policy: EgressPolicy) -> str:
        """Why a request to `url` would be refused without a look-up; empty where it would not, or not for that."""
        try:
            check_url(httpx.URL(url), policy, self._ceiling)
        except (EgressDenied, httpx.InvalidURL) as fault:
            return str(fault)
        return ""

    async def aclose(self) -> None:
        transports, self._transports = list(self._transports.values()), {}
        for transport in transports:
            await transport.aclose()

    async def _follow(
        self, request: httpx.Request, policy: EgressPolicy, stack: AsyncExitStack, max_redirects: int
    ) -> httpx.Response:
        response = await self._send(request, policy, stack)
        for left in range(max_redirects, 0, -1):
            onward = next_request(request, response)
            if onward is None:
                return response
            await response.aclose()
            request, response = onward, await self._send(onward, policy, stack)
            if left == 1 and next_request(request, response) is not None:
                raise httpx.TooManyRedirects(f"More than {max_redirects} redirects", request=request)
        return response

    async def _send(self, request: httpx.Request, policy: EgressPolicy, stack: AsyncExitStack) -> httpx.Response:
        response = await self.transport(policy).handle_async_request(request)
        response.request = request
        stack.push_async_callback(response.aclose)
        await self._drop_idle()
        return response

    async def _drop_idle(self) -> None:
        """Policies come and go with organisations; the longest unused pools go first, never one at work."""
        surplus = len(self._transports) - _TRANSPORTS_KEPT
        for policy, transport in list(self._transports.items())[: max(surplus, 0)]:
            if transport.is_idle():
                del self._transports[policy]
                await transport.aclose()


class _Progress:
    """Notes whether a request has begun to leave (httpcore's trace extension)."""

    def __init__(self) -> None:
        self.is_sending = False

    async def __call__(self, event: str, _: Mapping[str, object]) -> None:
        if event == "http11.send_request_headers.started":
            self.is_sending = True


def _request(
    method: str, url: str | httpx.URL, headers: Headers, content: bytes | None, limit_s: float, progress: _Progress
) -> httpx.Request:
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    given = httpx.Headers([(name, value) for name, value in pairs if name.lower() not in _OURS])
    for name, value in _DEFAULT_HEADERS.items():
        given.setdefault(name, value)
    phases = httpx.Timeout(limit_s, connect=min(CONNECT_TIMEOUT_S, limit_s)).as_dict()
    extensions = {"timeout": phases, "trace": progress}
    try:
        return httpx.Request(method, url, headers=given, content=content, extensions=extensions)
    except httpx.InvalidURL as error:
        raise EgressDenied(f"The URL is not valid: {error}") from error
