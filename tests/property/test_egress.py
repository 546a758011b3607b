"""The guard against oracles that are not ours: Python's registry of special addresses, and the C library's reading of
hosts. What the guard lets through must be public by both."""

import ipaddress
import socket
from ipaddress import IPv4Address, IPv6Address, ip_network

import httpx
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.policies import EgressPolicy
from planvault.errors import EgressDenied
from planvault.net.guard import AddressClass, canonical_host, check_url, classify

SHUT = EgressPolicy()
EVERYTHING = EgressPolicy(allow_loopback=True, allow_private=True)
# Where the guard is stricter than the registry that Python carries, on purpose.
STRICTER = tuple(
    ip_network(text)
    for text in (
        *("168.63.129.16/32", "192.0.0.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24"),
        *("192.175.48.0/24", "224.0.0.0/4", "ff00::/8", "2001::/23", "2002::/16", "2620:4f:8000::/48"),
        *("3fff::/20", "64:ff9b::/96", "64:ff9b:1::/48"),
    )
)

v4 = st.integers(0, 2**32 - 1)
inside_v4 = st.sampled_from(
    ["127.0.0.1", "10.1.2.3", "172.16.9.9", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "198.18.0.1"]
).map(lambda text: int(IPv4Address(text)))
embeddings = st.sampled_from(
    [
        lambda n: n | 0xFFFF << 32,  # mapped, RFC 4291
        lambda n: n,  # compatible, deprecated
        lambda n: n | 0xFFFF << 48,  # translated, RFC 2765
        lambda n: n | 0x64FF9B << 96,  # NAT64, RFC 6052
        lambda n: n | 0x64FF9B0001 << 80,  # NAT64, local use, RFC 8215
        lambda n: n << 80 | 0x2002 << 112,  # 6to4, RFC 3056
        lambda n: (n ^ 0xFFFFFFFF) | 0x20010000 << 96,  # Teredo, RFC 4380
        lambda n: n | 0xFE80 << 112 | 0x5EFE << 32,  # ISATAP, link-local
    ]
)


@given(st.one_of(v4.map(IPv4Address), st.integers(0, 2**128 - 1).map(IPv6Address)))
@settings(max_examples=400)
def test_an_address_is_public_exactly_where_the_registry_says_so(address: IPv4Address | IPv6Address) -> None:
    judged = classify(address)
    inner = address.ipv4_mapped or address if isinstance(address, IPv6Address) else address
    if any(inner.version == network.version and inner in network for network in STRICTER):
        return
    if inner.version == 6 and inner not in ip_network("2000::/3"):
        assert judged is not AddressClass.PUBLIC  # nothing else is given out (IANA)
        return
    assert (judged is AddressClass.PUBLIC) == inner.is_global, (address, judged)


@given(inside_v4, embeddings)
def test_no_address_inside_hides_in_an_ipv6_address(number: int, embed) -> None:  # type: ignore[no-untyped-def]
    address = IPv6Address(embed(number))
    assert classify(address) is not AddressClass.PUBLIC, address


def spellings(number: int) -> st.SearchStrategy[str]:
    """Ways in which inet_aton(3) reads an address: one to four parts, each decimal, octal or hexadecimal."""

    def part(value: int) -> st.SearchStrategy[str]:
        return st.sampled_from(
            [str(value), f"0{value:o}", f"0x{value:x}", f"0X{value:X}", f"0x{value:08x}", f"00{value:o}"]
        )

    octets = number.to_bytes(4, "big")
    lasts = [(octets[:count], int.from_bytes(octets[count:], "big")) for count in range(4)]
    return st.one_of(*(st.tuples(*(part(value) for value in head), part(tail)).map(".".join) for head, tail in lasts))


@given(st.one_of(inside_v4, v4).flatmap(spellings), st.sampled_from(["", "."]))
@example("0177.0.0.1", "")
@example("0x7f.1", "")
@settings(max_examples=400)
def test_what_the_c_library_reads_as_an_address_inside_is_refused(host: str, dot: str) -> None:
    try:
        found = socket.getaddrinfo(host, 80, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return
    read = ipaddress.ip_address(found[0][4][0])
    if passes(f"http://{host}{dot}/"):
        assert read.is_global, (host, read)
        assert canonical_host(httpx.URL(f"http://{host}{dot}/")) == str(read), "the guard and the C library disagree"


# Unicode that IDNA maps to ASCII: full-width digits and dots, circled digits, homographs of dots.
DOTS = [".", "。", "．", "｡", "․"]  # the last, ONE DOT LEADER, is mapped to a dot by NFKC
DIGITS = {digit: [digit, chr(0xFF10 + int(digit)), chr(0x1D7CE + int(digit))] for digit in "0123456789"}


@given(inside_v4, st.data())
@settings(max_examples=300)
def test_no_unicode_spelling_of_an_address_inside_passes(number: int, data: st.DataObject) -> None:
    plain = str(IPv4Address(number))
    host = "".join(data.draw(st.sampled_from(DOTS if char == "." else DIGITS[char])) for char in plain)
    assert not passes(f"http://{host}/"), host


@given(st.text(max_size=40))
@example("[::1%25lo]")
@example("[::1%lo]")
@example("[fe80::1%25eth0]:80")
@example("127.0.0.1%00.example.com")
@example("example.com@127.0.0.1")
@example("127.0.0.1\\@example.com")
@example("example.com#@127.0.0.1")
@example("localhost\t")
@example("[::]")
@example("0")
@example("*")
@example("①②⑦.⓪.⓪.①")
@settings(max_examples=400)
def test_no_text_in_the_place_of_a_host_reaches_an_address_inside(text: str) -> None:
    """Whatever passes is a name, or spells a public address for the C library as well."""
    url = f"http://{text}/"
    if not passes(url):
        return
    host = httpx.URL(url).raw_host.decode().strip("[]")
    try:
        found = socket.getaddrinfo(host, 80, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except (socket.gaierror, UnicodeError):
        return  # a name; its addresses are judged when it is resolved
    assert all(ipaddress.ip_address(each[4][0]).is_global for each in found), (text, host)


@given(
    st.sampled_from(
        ["file", "gopher", "ftp", "dict", "ldap", "jar", "data", "ws", "wss", "tftp", "sftp", "javascript"]
    ),
    st.sampled_from(["example.com", "127.0.0.1", "93.184.216.34", ""]),
)
def test_no_other_scheme_passes(scheme: str, host: str) -> None:
    for url in (f"{scheme}://{host}/x", f"{scheme.upper()}://{host}/x", f"{scheme}:{host}", f" {scheme}://{host}"):
        assert not passes(url, EVERYTHING)


def passes(url: str, policy: EgressPolicy = SHUT) -> bool:
    try:
        check_url(httpx.URL(url), policy)
    except (EgressDenied, httpx.InvalidURL, UnicodeError):
        return False
    return True
