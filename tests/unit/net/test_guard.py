from ipaddress import ip_address

import httpx
import pytest

from models.policies import EgressPolicy
from planvault.errors import EgressDenied
from planvault.net.guard import AddressClass, check_address, check_url, classify

NOTHING_SPECIAL = EgressPolicy()
EVERYTHING = EgressPolicy(allow_loopback=True, allow_private=True)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("93.184.216.34", AddressClass.PUBLIC),
        ("2606:2800:220:1:248:1893:25c8:1946", AddressClass.PUBLIC),
        ("127.0.0.1", AddressClass.LOOPBACK),
        ("127.255.255.254", AddressClass.LOOPBACK),
        ("::1", AddressClass.LOOPBACK),
        ("::ffff:127.0.0.1", AddressClass.LOOPBACK),
        ("10.0.0.1", AddressClass.PRIVATE),
        ("172.16.0.1", AddressClass.PRIVATE),
        ("172.31.255.255", AddressClass.PRIVATE),
        ("172.32.0.1", AddressClass.PUBLIC),
        ("192.168.1.1", AddressClass.PRIVATE),
        ("100.64.0.1", AddressClass.PRIVATE),
        ("100.128.0.1", AddressClass.PUBLIC),
        ("fd12:3456::1", AddressClass.PRIVATE),
        ("::ffff:10.0.0.1", AddressClass.PRIVATE),
        ("169.254.169.254", AddressClass.METADATA),
        ("::ffff:169.254.169.254", AddressClass.METADATA),
        ("169.254.170.2", AddressClass.METADATA),
        ("100.100.100.200", AddressClass.METADATA),
        ("168.63.129.16", AddressClass.METADATA),
        ("fd00:ec2::254", AddressClass.METADATA),
        ("169.254.0.1", AddressClass.LINK_LOCAL),
        ("fe80::1", AddressClass.LINK_LOCAL),
        ("fe80::1%eth0", AddressClass.LINK_LOCAL),
        ("224.0.0.1", AddressClass.MULTICAST),
        ("ff02::1", AddressClass.MULTICAST),
        ("0.0.0.0", AddressClass.RESERVED),
        ("0.1.2.3", AddressClass.RESERVED),
        ("::", AddressClass.RESERVED),
        ("::ffff:0.0.0.0", AddressClass.RESERVED),
        ("::127.0.0.1", AddressClass.RESERVED),  # IPv4-compatible, deprecated
        ("255.255.255.255", AddressClass.RESERVED),
        ("240.0.0.1", AddressClass.RESERVED),
        ("198.18.0.1", AddressClass.RESERVED),
        ("192.0.2.1", AddressClass.RESERVED),
        ("2002:7f00:1::", AddressClass.RESERVED),  # 6to4 of 127.0.0.1
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", AddressClass.RESERVED),  # Teredo
        ("2001:db8::1", AddressClass.RESERVED),
        ("64:ff9b::127.0.0.1", AddressClass.RESERVED),  # NAT64 of something that is not public
        ("64:ff9b::169.254.169.254", AddressClass.RESERVED),
        ("64:ff9b::93.184.216.34", AddressClass.PUBLIC),
        ("64:ff9b:1::10.0.0.1", AddressClass.RESERVED),
        ("fec0::1", AddressClass.RESERVED),  # site-local, deprecated
        ("4000::1", AddressClass.RESERVED),
    ],
)
def test_every_address_has_its_class(text: str, kind: AddressClass) -> None:
    assert classify(ip_address(text)) is kind


@pytest.mark.parametrize("text", ["169.254.169.254", "169.254.0.1", "fe80::1", "0.0.0.0", "224.0.0.1", "fd00:ec2::254"])
def test_no_policy_opens_metadata_link_local_multicast_or_reserved_addresses(text: str) -> None:
    with pytest.raises(EgressDenied):
        check_address(ip_address(text), EVERYTHING)


def test_loopback_and_private_addresses_open_each_by_its_own_switch() -> None:
    loopback, private = ip_address("127.0.0.1"), ip_address("10.0.0.1")
    check_address(loopback, EgressPolicy(allow_loopback=True))
    check_address(private, EgressPolicy(allow_private=True))
    for address, policy in (
        (loopback, NOTHING_SPECIAL),
        (loopback, EgressPolicy(allow_private=True)),
        (private, NOTHING_SPECIAL),
        (private, EgressPolicy(allow_loopback=True)),
    ):
        with pytest.raises(EgressDenied, match=str(address)):
            check_address(address, policy)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://example.com/",
        "ftp://example.com/",
        "ws://example.com/",
        "//example.com/",
        "/path",
        "http:///path",
        "http://user@example.com/",
        "http://user:password@example.com/",
        "http://:password@example.com/",
    ],
)
def test_only_http_urls_with_a_host_and_without_credentials_pass(url: str) -> None:
    with pytest.raises(EgressDenied):
        check_url(httpx.URL(url), EVERYTHING)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "017700000001",
        "127.1",
        "127.0.0.1.",
        "1.2.3.4.5",
        "[::ffff:7f00:1]",
        "[::1]",
        "[64:ff9b::7f00:1]",
        "127.0.0.1",
        "0.0.0.0",
        "169.254.169.254",
        "[fe80::1]",
    ],
)
def test_every_spelling_of_an_address_inside_is_refused_by_name_alone(host: str) -> None:
    with pytest.raises(EgressDenied):
        check_url(httpx.URL(f"http://{host}/"), NOTHING_SPECIAL)


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "0x7f.0.0.1", "127.1"])
def test_odd_spellings_stay_refused_where_the_address_itself_would_be_allowed(host: str) -> None:
    with pytest.raises(EgressDenied, match="unusual spelling"):
        check_url(httpx.URL(f"http://{host}/"), EVERYTHING)


@pytest.mark.parametrize(
    ("listed", "host", "allowed"),
    [
        (("api.example.com",), "api.example.com", True),
        (("api.example.com",), "API.Example.COM", True),
        (("api.example.com",), "api.example.com.", True),
        (("API.example.com.",), "api.example.com", True),
        (("api.example.com",), "evil-api.example.com", False),
        (("api.example.com",), "api.example.com.evil.org", False),
        (("*.example.com",), "api.example.com", True),
        (("*.example.com",), "a.b.example.com", True),
        (("*.example.com",), "example.com", False),
        (("*.example.com",), "evilexample.com", False),
        (("*.example.com",), "example.com.evil.org", False),
        (("a.com", "b.com"), "b.com", True),
        (("a.com",), "b.com", False),
        (("93.184.216.34",), "93.184.216.34", True),
        (("xn--mnchen-3ya.de",), "münchen.de", True),
    ],
)
def test_an_allow_list_names_hosts_exactly_or_by_a_leading_star(
    listed: tuple[str, ...], host: str, allowed: bool
) -> None:
    url, policy = httpx.URL(f"https://{host}/"), EgressPolicy(allow_hosts=listed)
    if allowed:
        check_url(url, policy)
    else:
        with pytest.raises(EgressDenied, match="not among the hosts"):
            check_url(url, policy)


def test_an_allow_list_does_not_open_what_the_switches_keep_shut() -> None:
    with pytest.raises(EgressDenied, match="loopback"):
        check_url(httpx.URL("http://127.0.0.1/"), EgressPolicy(allow_hosts=("127.0.0.1",)))
