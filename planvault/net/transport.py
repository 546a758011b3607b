"""An httpx transport over httpcore whose every connection passes the egress guard."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpcore
import httpx

from models.policies import EgressPolicy
from planvault.net.ceiling import OPEN, EgressCeiling
from planvault.net.guard import check_url
from planvault.net.pinned import PinnedBackend, Resolver

# Servers close idle connections after 5 s or more (uvicorn, Node); a request that meets such a close has an unknown
# outcome. Giving connections up sooner keeps us out of that race.
KEEPALIVE_S = 2.0
_MAX_CONNECTIONS = 1_000  # a policy is shared by organisations: one with many slow calls must not starve the others

# From the most special to the most general: the first that fits is used.
_ERRORS: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (httpcore.ConnectTimeout, httpx.ConnectTimeout),
    (httpcore.ReadTimeout, httpx.ReadTimeout),
    (httpcore.WriteTimeout, httpx.WriteTimeout),
    (httpcore.PoolTimeout, httpx.PoolTimeout),
    (httpcore.TimeoutException, httpx.TimeoutException),
    (httpcore.ConnectError, httpx.ConnectError),
    (httpcore.ReadError, httpx.ReadError),
    (httpcore.WriteError, httpx.WriteError),
    (httpcore.NetworkError, httpx.NetworkError),
    (httpcore.UnsupportedProtocol, httpx.UnsupportedProtocol),
    (httpcore.LocalProtocolError, httpx.LocalProtocolError),
    (httpcore.RemoteProtocolError, httpx.RemoteProtocolError),
    (httpcore.ProtocolError, httpx.ProtocolError),
)

_PROTOCOL_ERRORS = (httpcore.UnsupportedProtocol, httpcore.ProtocolError)


class GuardedTransport(httpx.AsyncBaseTransport):
    """One policy's connection pool. HTTP/1.1: httpcore never sends a request of it twice."""

    def __init__(
        self, policy: EgressPolicy, resolver: Resolver, ssl_context: ssl.SSLContext, ceiling: EgressCeiling = OPEN
    ) -> None:
        self._policy = policy
        self._ceiling = ceiling
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=ssl_context,
            max_connections=_MAX_CONNECTIONS,
            keepalive_expiry=KEEPALIVE_S,
            http1=True,
            http2=False,
            retries=0,
            network_backend=PinnedBackend(policy, resolver, ceiling),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises EgressDenied before anything is looked up or sent, or httpx.TransportError."""
        check_url(request.url, self._policy, self._ceiling)
        with _as_httpx_errors():
            response = await self._pool.handle_async_request(
                httpcore.Request(
                    method=request.method,
                    url=httpcore.URL(
                        scheme=request.url.raw_scheme,
                        host=request.url.raw_host,
                        port=request.url.port,
                        target=request.url.raw_path,
                    ),
                    headers=request.headers.raw,
                    content=request.stream,
                    extensions=request.extensions,
                )
            )
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(response),
            extensions=response.extensions,
        )

    def is_idle(self) -> bool:
        return all(connection.is_idle() or connection.is_closed() for connection in self._pool.connections)

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx_errors():
            async for part in self._response.aiter_stream():
                yield part

    async def aclose(self) -> None:
        await self._response.aclose()


@contextmanager
def _as_httpx_errors() -> Iterator[None]:
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError, *_PROTOCOL_ERRORS) as error:
        meant = next(meant for known, meant in _ERRORS if isinstance(error, known))
        raise meant(str(error)) from error
