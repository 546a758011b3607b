"""The guarded client against real servers."""

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from models.policies import EgressPolicy
from planvault.errors import EgressDenied
from planvault.net.client import GuardedHttp, sent_nothing
from planvault.net.guard import Address
from tests.unit.net.guarded import LOCAL, get, http
from tests.unit.net.servers import Received, ok, redirecting, response, serving

__all__ = ["http"]

SHUT = EgressPolicy()


class Names:
    """A resolver whose answers a test writes; each look-up takes the next one, the last stays."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self._answers = {name.replace("_", "."): given for name, given in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[Address]:
        self.asked.append(host)
        given = self._answers.get(host)
        if given is None:
            raise OSError("no such name")
        return [ip_address(text) for text in (given.pop(0) if len(given) > 1 else given[0])]


# ── the guard ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_shut_policy_lets_no_packet_reach_loopback(http: GuardedHttp) -> None:
    async with serving(ok) as server:
        for host in ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "127.1", "2130706433", "0177.0.0.1"):
            with pytest.raises(EgressDenied):
                await get(http, server.url(host=host), SHUT)
        assert server.connections == 0
        assert await get(http, server.url(), LOCAL) == (200, b"ok")


async def test_one_bad_address_among_several_is_enough_to_refuse() -> None:
    client = GuardedHttp(resolver=Names(mixed_test=[["127.0.0.1", "10.0.0.1"]]))
    async with serving(ok) as server:
        with pytest.raises(EgressDenied, match=r"10\.0\.0\.1"):
            await get(client, server.url(host="mixed.test"))
        assert server.connections == 0
    await client.aclose()


async def test_the_connection_goes_to_the_address_that_was_checked_however_often_dns_changes_its_mind() -> None:
    # A rebinding server answers the check with one address, the connection with another: there is no second question.
    names = Names(rebind_test=[["127.0.0.1"], ["169.254.169.254"]])
    client = GuardedHttp(resolver=names)

    async def ok_and_close(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(response(Connection="close"))
        await writer.drain()
        writer.close()

    async with serving(ok_and_close) as server:
        assert (await get(client, server.url(host="rebind.test")))[0] == 200
        assert names.asked == ["rebind.test"]
        with pytest.raises(EgressDenied, match=r"169\.254\.169\.254"):
            await get(client, server.url(host="rebind.test"))
        assert len(server.requests) == 1
    await client.aclose()


async def test_the_host_header_is_the_name_of_the_url_and_no_callers_header_changes_it() -> None:
    client = GuardedHttp(resolver=Names(shop_test=[["127.0.0.1"]]))
    async with serving(ok) as server:
        await get(client, server.url(host="shop.test"), headers={"Host": "internal.test", "X-Mine": "1"})
        assert server.requests[0].headers["host"] == f"shop.test:{server.port}"
        assert server.requests[0].headers["x-mine"] == "1"
    await client.aclose()


async def test_the_next_address_is_tried_where_the_first_does_not_listen() -> None:
    client = GuardedHttp(resolver=Names(two_test=[["127.0.0.2", "127.0.0.1"]]))
    async with serving(ok) as server:
        assert (await get(client, server.url(host="two.test")))[0] == 200
    await client.aclose()


async def test_a_connection_made_under_one_policy_is_never_used_under_another(http: GuardedHttp) -> None:
    async with serving(ok) as server:
        await get(http, server.url(), LOCAL)
        with pytest.raises(EgressDenied):
            await get(http, server.url(), SHUT)
        await get(http, server.url(), EgressPolicy(allow_loopback=True, allow_private=True))
        assert [request.connection for request in server.requests] == [1, 2]


async def test_proxies_of_the_environment_are_ignored(http: GuardedHttp, monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(ok) as proxy, serving(ok) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        await get(http, server.url())
        assert (len(proxy.requests), len(server.requests)) == (0, 1)


async def test_cookies_of_one_answer_are_not_sent_with_the_next_request(http: GuardedHttp) -> None:
    async def set_cookie(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(response(Set_Cookie="session=of-another-tenant"))

    async with serving(set_cookie) as server:
        await get(http, server.url())
        await get(http, server.url())
        assert "cookie" not in server.requests[1].headers


# ── one request, one sending ─────────────────────────────────────────────────────────────────────────────────────────


async def test_connections_are_kept_across_requests(http: GuardedHttp) -> None:
    async with serving(ok) as server:
        for _ in range(3):
            await get(http, server.url())
        assert (server.connections, len(server.requests)) == (1, 3)


async def test_a_kept_connection_that_the_server_drops_after_reading_the_request_is_not_tried_again(
    http: GuardedHttp,
) -> None:
    """The server executes, then dies before it answers: a client that sends again executes twice."""

    async def answer_once_then_drop(received: Received, writer: asyncio.StreamWriter) -> None:
        if received.path == "/warm":
            writer.write(response())
        else:
            writer.close()

    async with serving(answer_once_then_drop) as server:
        for method in ("POST", "PUT", "DELETE", "GET"):
            await get(http, server.url("/warm"))
            with pytest.raises(httpx.TransportError) as failed:
                async with http.stream(method, server.url("/act"), policy=LOCAL, content=b"x"):
                    pytest.fail("there is no answer")
            assert not sent_nothing(failed.value)
        acted = [request.method for request in server.requests if request.path == "/act"]
        assert acted == ["POST", "PUT", "DELETE", "GET"]
        # Each went over a connection that had served before, the case in which clients like to retry.
        warm = {request.connection for request in server.requests if request.path == "/warm"}
        assert {request.connection for request in server.requests if request.path == "/act"} == warm


async def test_a_connection_that_the_server_closed_while_idle_is_replaced_before_anything_is_sent(
    http: GuardedHttp,
) -> None:
    closed = asyncio.Event()

    async def ok_then_hang_up(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(response())  # promises keep-alive, and does not keep it
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        closed.set()

    async with serving(ok_then_hang_up) as server:
        for count in range(1, 4):
            closed.clear()
            async with http.stream("POST", server.url(), policy=LOCAL, content=b"x") as answer:
                assert await answer.aread() == b"ok"
            await asyncio.wait_for(closed.wait(), 5)
            assert len(server.requests) == count


async def test_failures_before_the_first_byte_say_that_nothing_was_sent() -> None:
    client = GuardedHttp(resolver=Names(known_test=[["127.0.0.1"]]))
    async with serving(ok) as gone:
        port = gone.port
    failures: list[BaseException] = []
    for url in (
        f"http://127.0.0.1:{port}/",
        "http://unknown.test/",
        "http://10.0.0.1/",
        "http://exa mple/",
        "ftp://x/",
    ):
        with pytest.raises((httpx.HTTPError, EgressDenied)) as failed:
            await get(client, url)
        failures.append(failed.value)
    assert all(sent_nothing(failure) for failure in failures)
    await client.aclose()


# ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_deadline_covers_an_answer_that_trickles(http: GuardedHttp) -> None:
    async def trickle(_: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with serving(trickle) as server:
        with pytest.raises(httpx.ReadTimeout) as failed:
            await get(http, server.url(), timeout=1.0)
        assert not sent_nothing(failed.value)


async def test_a_deadline_that_passes_before_anything_was_sent_says_so() -> None:
    async def never(host: str, port: int) -> Sequence[Address]:
        await asyncio.Event().wait()
        return []

    client = GuardedHttp(resolver=never)
    with pytest.raises(httpx.ConnectTimeout) as failed:
        await get(client, "http://slow.test/", timeout=0.05)
    assert sent_nothing(failed.value)
    await client.aclose()


async def test_a_timeout_of_the_callers_own_stays_the_callers(http: GuardedHttp) -> None:
    async with serving(ok) as server:
        with pytest.raises(TimeoutError, match="mine"):
            async with http.stream("GET", server.url(), policy=LOCAL):
                raise TimeoutError("mine")


async def test_requests_that_were_cancelled_leave_no_connection_and_no_place_behind(http: GuardedHttp) -> None:
    arrived, answering = asyncio.Semaphore(0), asyncio.Event()

    async def wait(received: Received, writer: asyncio.StreamWriter) -> None:
        arrived.release()
        if received.path == "/wait":
            await answering.wait()
        writer.write(response())

    async with serving(wait) as server:
        tasks = [asyncio.create_task(get(http, server.url("/wait"))) for _ in range(20)]
        for _ in tasks:
            await asyncio.wait_for(arrived.acquire(), 5)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert http.transport(LOCAL).is_idle()
        assert await get(http, server.url("/now")) == (200, b"ok")
        answering.set()


# ── TLS ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def certificate(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Server and client contexts for a self-signed certificate of `name`."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    day = datetime.timedelta(days=1)
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - day).not_valid_after(now + day)
    names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.9"))]
    builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    built = builder.sign(key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    pem = folder / "cert.pem"
    pem.write_bytes(private + built.public_bytes(serialization.Encoding.PEM))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cafile=str(pem))


async def test_tls_verifies_the_name_of_the_url_though_the_connection_goes_to_an_address(tmp_path: Path) -> None:
    server_tls, client_tls = certificate(tmp_path, "shop.test")
    seen: list[str | None] = []
    server_tls.sni_callback = lambda _socket, name, _context: seen.append(name)
    names = Names(shop_test=[["127.0.0.1"]], other_test=[["127.0.0.1"]])
    client = GuardedHttp(resolver=names, ssl_context=client_tls)
    async with serving(ok, tls=server_tls) as server:
        assert (await get(client, server.url(host="shop.test", scheme="https")))[0] == 200
        assert seen == ["shop.test"]
        with pytest.raises(httpx.ConnectError, match="certificate"):
            await get(client, server.url(host="other.test", scheme="https"))
        assert len(server.requests) == 1
    await client.aclose()


async def test_a_certificate_of_nobody_known_is_refused(tmp_path: Path, http: GuardedHttp) -> None:
    server_tls, _ = certificate(tmp_path, "localhost")
    async with serving(ok, tls=server_tls) as server:
        with pytest.raises(httpx.ConnectError, match="certificate") as failed:
            await get(http, server.url(host="localhost", scheme="https"))
        assert sent_nothing(failed.value)
        assert server.requests == []


async def test_a_redirect_from_https_to_http_is_not_followed(tmp_path: Path) -> None:
    server_tls, client_tls = certificate(tmp_path, "shop.test")
    client = GuardedHttp(resolver=Names(shop_test=[["127.0.0.1"]]), ssl_context=client_tls)
    async with serving(ok) as plain, serving(redirecting(plain.url("/to")), tls=server_tls) as server:
        with pytest.raises(EgressDenied, match="https to http"):
            await get(client, server.url("/from", host="shop.test", scheme="https"), max_redirects=1)
        assert plain.requests == []
    await client.aclose()


async def test_pools_of_policies_long_unused_are_let_go_but_not_those_at_work(
    http: GuardedHttp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("planvault.net.client._TRANSPORTS_KEPT", 2)
    policies = [EgressPolicy(allow_loopback=True, allow_hosts=("127.0.0.1", f"{n}.test")) for n in range(5)]
    async with serving(ok) as server:
        async with http.stream("GET", server.url(), policy=policies[0]) as at_work:
            for policy in policies[1:]:
                await get(http, server.url(), policy)
            assert await at_work.aread() == b"ok"
        kept = set(http._transports)
        assert len(kept) <= 3
        assert policies[-1] in kept


# ── what can be said without a request ───────────────────────────────────────────────────────────────────────────────


def test_what_would_be_refused_without_a_look_up_is_told_also_of_what_is_no_address(http: GuardedHttp) -> None:
    """As documents name servers: anything."""
    assert http.forbids("https://shop.example/v1", SHUT) == ""
    assert http.forbids("http://127.0.0.1:8000", LOCAL) == ""
    assert "the organisation's egress policy" in http.forbids("http://127.0.0.1:8000", SHUT)
    for text in ("https://shop.example:99999", "https://[::1", "ftp://shop.example", "shop.example"):
        assert http.forbids(text, LOCAL), text
