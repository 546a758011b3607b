"""Which addresses an outbound request may reach. Decides only; it resolves and connects nothing.

A host is judged twice: by its name, before anything is looked up, and by every address that it resolves to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import httpx

from models.policies import EgressPolicy
from planvault.errors import EgressDenied
from planvault.net.ceiling import OPEN, EgressCeiling

Address = IPv4Address | IPv6Address


class AddressClass(Enum):
    PUBLIC = "a public address"
    LOOPBACK = "a loopback address"
    PRIVATE = "a private address"
    METADATA = "a cloud metadata service"
    LINK_LOCAL = "a link-local address"
    MULTICAST = "a multicast address"
    RESERVED = "a reserved address"


# Metadata services are refused whatever the policy says, even those that sit in private or public ranges.
_METADATA = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Azure, Google, OpenStack, Oracle, DigitalOcean
        "169.254.170.2",  # AWS ECS task credentials
        "169.254.170.23",  # AWS EKS pod identity
        "fd00:ec2::254",  # AWS over IPv6
        "fd00:ec2::23",  # AWS EKS pod identity over IPv6
        "fd20:ce::254",  # Google over IPv6
        "100.100.100.200",  # Alibaba
        "168.63.129.16",  # Azure wire server
        "192.0.0.192",  # Oracle classic
    )
)
_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
_LINK_LOCAL = (ip_network("169.254.0.0/16"), ip_network("fe80::/10"))
_MULTICAST = (ip_network("224.0.0.0/4"), ip_network("ff00::/8"))
_PRIVATE = (
    ip_network("10.0.0.0/8"),
    ip_network("172.16.0.0/12"),
    ip_network("192.168.0.0/16"),
    ip_network("100.64.0.0/10"),  # carrier-grade NAT, RFC 6598
    ip_network("fc00::/7"),
)
# IANA special-purpose registries: never a service on the public internet.
_RESERVED = (
    ip_network("0.0.0.0/8"),
    ip_network("192.0.0.0/24"),
    ip_network("192.0.2.0/24"),
    ip_network("192.31.196.0/24"),
    ip_network("192.52.193.0/24"),
    ip_network("192.88.99.0/24"),
    ip_network("192.175.48.0/24"),
    ip_network("198.18.0.0/15"),
    ip_network("198.51.100.0/24"),
    ip_network("203.0.113.0/24"),
    ip_network("240.0.0.0/4"),
    ip_network("2001::/23"),  # Teredo, ORCHID, benchmarking
    ip_network("2001:db8::/32"),
    ip_network("2002::/16"),  # 6to4: carries any IPv4 address
    ip_network("2620:4f:8000::/48"),
    ip_network("3fff::/20"),
)
_GLOBAL_UNICAST_V6 = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")

# WHATWG Fetch, "bad port": a request there is read as another protocol's commands (mail, IRC, files, printers, X11).
_BAD_PORTS = frozenset(
    {
        0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
        109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526,
        530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045,
        4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
    }
)  # fmt: skip

_LAST_PORT = 65_535

# inet_aton also reads 2130706433, 0x7f.1 and 017700000001. A last label like that is never a domain (WHATWG URL).
_NUMBER_LIKE = re.compile(r"(0[xX][0-9a-fA-F]*|[0-9]+)")


def classify(address: Address) -> AddressClass:
    """What kind of address this is; IPv4 inside IPv6 (mapped, NAT64) counts as the IPv4 address."""
    inner = _embedded(address)
    if isinstance(address, IPv6Address) and address in _NAT64 and inner != address:
        # A gateway would translate it: only what is public there is public here.
        return AddressClass.PUBLIC if classify(inner) is AddressClass.PUBLIC else AddressClass.RESERVED
    if inner in _METADATA:
        return AddressClass.METADATA
    for networks, kind in (
        (_LOOPBACK, AddressClass.LOOPBACK),
        (_LINK_LOCAL, AddressClass.LINK_LOCAL),
        (_PRIVATE, AddressClass.PRIVATE),
        (_MULTICAST, AddressClass.MULTICAST),
        (_RESERVED, AddressClass.RESERVED),
    ):
        if any(inner.version == network.version and inner in network for network in networks):
            return kind
    if inner.version == 6 and inner not in _GLOBAL_UNICAST_V6:
        return AddressClass.RESERVED
    return AddressClass.PUBLIC


def check_address(address: Address, policy: EgressPolicy, ceiling: EgressCeiling = OPEN) -> None:
    """Raises EgressDenied. Only public addresses pass by themselves; loopback and private ones by policy, as far as the
    operator's ceiling lets them."""
    kind = classify(address)
    inner = _embedded(address)
    if any(inner.version == network.version and inner in network for network in ceiling.denied):
        raise EgressDenied(f"{address} is in a network that this installation keeps shut")
    if (kind is AddressClass.LOOPBACK and not ceiling.allow_loopback) or (
        kind is AddressClass.PRIVATE and not ceiling.allow_private
    ):
        raise EgressDenied(f"{address} is {kind.value}, which this installation lets no organisation reach")
    allowed = (
        kind is AddressClass.PUBLIC
        or (kind is AddressClass.LOOPBACK and policy.allow_loopback)
        or (kind is AddressClass.PRIVATE and policy.allow_private)
    )
    if not allowed:
        openable = kind in (AddressClass.LOOPBACK, AddressClass.PRIVATE)
        by_whom = "the organisation's egress policy does not allow" if openable else "no call may reach"
        raise EgressDenied(f"{address} is {kind.value}, which {by_whom}")


def check_url(url: httpx.URL, policy: EgressPolicy, ceiling: EgressCeiling = OPEN) -> None:
    """Judge all that can be judged before a look-up. Raises EgressDenied."""
    if url.scheme not in ("http", "https"):
        raise EgressDenied(f"Only http and https are allowed, not {url.scheme or 'a URL without a scheme'}")
    if url.userinfo:
        raise EgressDenied("A URL may not carry a user name or password; use a header with a secret")
    if url.port is not None and url.port > _LAST_PORT:  # the socket would raise what nobody takes for a refused call
        raise EgressDenied(f"There is no port {url.port}: the last one is {_LAST_PORT}")
    if url.port in _BAD_PORTS:
        raise EgressDenied(f"Port {url.port} belongs to another protocol than HTTP")
    host = canonical_host(url)
    if policy.allow_hosts and not _is_listed(host, policy.allow_hosts):
        raise EgressDenied(f"{host} is not among the hosts that the organisation's egress policy lists")
    literal = as_address(host)
    if literal is not None:
        check_address(literal, policy, ceiling)


def canonical_host(url: httpx.URL) -> str:
    """ASCII, lower case, without a trailing dot. Raises EgressDenied for odd spellings of an address."""
    host = url.raw_host.decode("ascii").lower().removesuffix(".")
    if not host or "%" in host or "*" in host:  # the C library reads * as no host at all, and answers with loopback
        raise EgressDenied("The URL has no host that a request could go to")
    if as_address(host) is None and _NUMBER_LIKE.fullmatch(host.rpartition(".")[2]):
        raise EgressDenied(f"{host} is an unusual spelling of an IP address; write it as four decimal numbers")
    return host


def as_address(host: str) -> Address | None:
    """The address that a canonical host spells, None for a name."""
    try:
        return ip_address(host.strip("[]"))
    except ValueError:
        return None


def _embedded(address: Address) -> Address:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        plain = IPv6Address(int(address))  # without a zone
        return IPv4Address(int(plain) & 0xFFFF_FFFF) if plain in _NAT64 else plain
    return address


def _is_listed(host: str, listed: Sequence[str]) -> bool:
    for entry in listed:
        pattern = entry.strip().lower().removesuffix(".")
        if pattern.startswith("*."):
            if host.endswith(pattern[1:]) and len(host) > len(pattern) - 1:
                return True
        elif host.strip("[]") == pattern.strip("[]"):
            return True
    return False
