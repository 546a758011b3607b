"""Which address a request counts for."""

import pytest

from serve_apps.limits.address import NOWHERE, Clients, networks


def address(peer: str | None, *forwarded: str, trusted: str = "10.0.0.0/8, ::1") -> str:
    headers = [(b"x-forwarded-for", line.encode()) for line in forwarded]
    scope = {"type": "http", "client": None if peer is None else (peer, 4711), "headers": headers}
    return Clients(networks(trusted)).address(scope)


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", (), "203.0.113.9"),
        ("203.0.113.9", ("198.51.100.1",), "203.0.113.9"),  # nobody asked it to forward
        ("10.1.2.3", ("198.51.100.1",), "198.51.100.1"),
        ("10.1.2.3", ("6.6.6.6, 198.51.100.1",), "198.51.100.1"),  # what the client itself has written
        ("10.1.2.3", ("6.6.6.6", "198.51.100.1, 10.9.9.9"), "198.51.100.1"),
        ("10.1.2.3", ("198.51.100.1:5000",), "198.51.100.1"),
        ("10.1.2.3", ("::ffff:198.51.100.1",), "198.51.100.1"),
        ("::1", ("[2001:db8:1:2:3::4]:443",), "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", (), "2001:db8:1:2::/64"),
        ("10.1.2.3", ("nonsense",), "10.1.2.3"),
        ("10.1.2.3", ("198.51.100.1, nonsense",), "10.1.2.3"),
        ("10.1.2.3", ("",), "10.1.2.3"),
        ("10.1.2.3", ("10.1.1.1, 10.2.2.2",), "10.1.1.1"),
        (None, ("198.51.100.1",), NOWHERE),
        ("a-socket", (), NOWHERE),
    ],
)
def test_only_what_a_trusted_proxy_has_written_is_believed(
    peer: str | None, forwarded: tuple[str, ...], expected: str
) -> None:
    assert address(peer, *forwarded) == expected


def test_without_trusted_proxies_the_header_is_nobodys() -> None:
    assert address("127.0.0.1", "198.51.100.1", trusted="") == "127.0.0.1"
