"""A network backend for httpcore that connects only to addresses it has checked itself.

The name is resolved once, every address is judged, and the connection goes to a judged address: between the check and
the connection there is no second look-up that a rebinding DNS server could answer differently. TLS still verifies the
name, and the `Host` header still carries it, because httpcore takes both from the URL.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Sequence
from typing import Protocol

import httpcore

from models.policies import EgressPolicy
from planvault.errors import EgressDenied
from planvault.net.ceiling import OPEN, EgressCeiling
from planvault.net.guard import Address, as_address, check_address

_MOST_ADDRESSES = 8  # tried in order; a name with more gets no further attempts

SocketOption = tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]


class Resolver(Protocol):
    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        """Every address of the name. Raises OSError."""
        ...


async def system_resolver(host: str, port: int) -> list[Address]:
    """getaddrinfo in the loop's thread pool, without doubles, in its order of preference."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [as_address(str(info[4][0])) for info in found]
    return list(dict.fromkeys(address for address in addresses if address is not None))


class PinnedBackend(httpcore.AsyncNetworkBackend):
    """One policy's way out."""

    def __init__(self, policy: EgressPolicy, resolver: Resolver, ceiling: EgressCeiling = OPEN) -> None:
        self._policy = policy
        self._ceiling = ceiling
        self._resolver = resolver
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises EgressDenied before any packet where a single address of the host is not allowed."""
        try:
            async with asyncio.timeout(timeout):
                addresses = await self._checked(host, port)
                return await self._first_that_answers(addresses, port, local_address, socket_options)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"{host} did not accept a connection in time") from error

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        socket_options: Iterable[SocketOption] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise EgressDenied("Unix sockets are not reachable from outbound requests")

    async def sleep(self, seconds: float) -> None:
        """httpcore waits between connection attempts; there is only ever one."""
        await asyncio.sleep(seconds)

    async def _checked(self, host: str, port: int) -> Sequence[Address]:
        literal = as_address(host)
        if literal is not None:
            check_address(literal, self._policy, self._ceiling)
            return (literal,)
        try:
            addresses = await self._resolver(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} cannot be resolved: {error}") from error
        if not addresses:
            raise httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            check_address(address, self._policy, self._ceiling)
        return addresses

    async def _first_that_answers(
        self,
        addresses: Sequence[Address],
        port: int,
        local_address: str | None,
        socket_options: Iterable[SocketOption] | None,
    ) -> httpcore.AsyncNetworkStream:
        options = list(socket_options or ())
        failure: Exception = httpcore.ConnectError("no address to connect to")
        for address in addresses[:_MOST_ADDRESSES]:
            try:
                return await self._inner.connect_tcp(
                    str(address), port, local_address=local_address, socket_options=options
                )
            except httpcore.ConnectError as error:
                failure = error
        raise failure
