"""Which client a request comes from: what the limits of strangers count by.

`X-Forwarded-For` is anybody's to write. It is read from the right, and only as far as proxies that the operator has
named (PLANVAULT_TRUSTED_PROXIES) have written it: the first address that is none of them is the client.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from starlette.datastructures import Headers
from starlette.types import Scope

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_SITE_BITS = 64  # what one IPv6 subscriber has, and may choose any address of (RFC 6177)
_MOST_HOPS = 32
NOWHERE = "unknown"


def networks(text: str) -> tuple[Network, ...]:
    """Comma-separated addresses and networks. Raises ValueError."""
    return tuple(ip_network(part) for part in (each.strip() for each in text.split(",")) if part)


class Clients:
    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = tuple(trusted)

    def address(self, scope: Scope) -> str:
        """The client's address, of IPv6 its /64 network; NOWHERE where the server does not know it."""
        peer = scope.get("client")
        nearest = None if peer is None else _parsed(str(peer[0]))
        if nearest is None:
            return NOWHERE
        return _site(self._behind_proxies(nearest, Headers(scope=scope)) if self._trusts(nearest) else nearest)

    def _behind_proxies(self, nearest: Address, headers: Headers) -> Address:
        """What the outermost trusted proxy says; where that is no address, the proxy itself: nobody else is known."""
        hops = ",".join(headers.getlist("x-forwarded-for")).split(",")
        for hop in reversed(hops[-_MOST_HOPS:]):
            found = _parsed(hop.strip())
            if found is None:
                return nearest
            nearest = found
            if not self._trusts(nearest):
                return nearest
        return nearest

    def _trusts(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _parsed(text: str) -> Address | None:
    """`192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]:4711`; IPv4 inside IPv6 counts as what is inside."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return found if mapped is None else mapped


def _site(address: Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address), _SITE_BITS), strict=False))
