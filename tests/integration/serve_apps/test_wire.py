"""Requests that lie about themselves, over a real socket of the server that Ray Serve runs."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn

from serve_apps.middleware import BodyGuard, HeadGuard
from serve_apps.middleware.heads import MAX_HEAD, MAX_HEADER, MAX_HEADERS, MAX_TARGET
from tests.integration.serve_apps.conftest import ObservedDeps, Recorder, Tenant, application

Address = tuple[str, int]


@asynccontextmanager
async def served(app: object) -> AsyncIterator[Address]:
    """As Ray Serve's proxy runs it: uvicorn with whichever parser it chooses, no limits of its own."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None, access_log=False))  # type: ignore[arg-type]
    task = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:
            await asyncio.sleep(0)
    try:
        host, port = server.servers[0].sockets[0].getsockname()
        yield host, port
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def address(deps: ObservedDeps) -> AsyncIterator[Address]:
    async with served(application(deps)) as place:
        yield place


async def exchange(address: Address, *pieces: bytes) -> bytes:
    """What comes back until the server closes, or says nothing for a while."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        answer = b""
        try:
            async with asyncio.timeout(5):
                while b"\r\n0\r\n\r\n" not in answer and not _is_whole(answer):
                    read = await reader.read(65_536)
                    if not read:
                        break
                    answer += read
        except TimeoutError:
            pass
        return answer
    finally:
        writer.close()


def _is_whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return bool(found) and length is not None and len(body) >= int(length[1])


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


def post(tenant: Tenant, path: str, *headers: str) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: api",
        f"Authorization: {tenant.auth['Authorization']}",
        "Content-Type: application/json",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n"


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 10", "Content-Length: 12"),
        ("Content-Length: -1",),
        ("Content-Length: 1e3",),
        ("Content-Length: +15",),
        ("Content-Length: 99999999999999999999999",),
        ("Content-Length: 15", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: xchunked",),
        ("Bad Header: x",),
        ("X-Split: a\x00b",),
        ("Host: another",),
        ("Authorization: Bearer sk_live_another",),
        ("Content-Type: text/plain",),
        ("Idempotency-Key: one", "Idempotency-Key: two"),
    ],
)
async def test_a_request_that_contradicts_itself_is_refused(
    address: Address, tenant: Tenant, path: str, headers: tuple[str, ...]
) -> None:
    """Whoever stands in front may read the other half: nothing of it may come to be the next request."""
    smuggled = b"GET /health HTTP/1.1\r\nHost: api\r\n\r\n"
    answer = await exchange(address, post(tenant, f"{path}/messages", *headers) + b"f\r\n" + smuggled)
    assert status_of(answer) in {400, 413}, answer[:300]
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_a_body_shorter_than_declared_changes_nothing(
    deps: ObservedDeps, address: Address, tenant: Tenant, session: Recorder, path: str
) -> None:
    reader, writer = await asyncio.open_connection(*address)
    writer.write(post(tenant, f"{path}/messages", "Content-Length: 100") + b'{"message": "hi"}')
    await writer.drain()
    writer.write_eof()
    writer.close()
    await writer.wait_closed()
    del reader
    assert (
        await deps.database.fetchval("SELECT count(*) FROM commands WHERE session_id = $1", session.scope.session_id)
        == 0
    )


async def test_chunks_are_counted_and_a_body_above_the_limit_is_refused(
    address: Address, tenant: Tenant, path: str
) -> None:
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    head = post(tenant, f"{path}/messages", "Transfer-Encoding: chunked")
    answer = await exchange(address, head, *[chunk] * 40)
    assert status_of(answer) == 413
    small = b'5\r\n{"mes\r\nc\r\nsage": "hi"}\r\n0\r\n\r\n'
    assert status_of(await exchange(address, head + small)) == 202


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity, gzip", "GZIP"])
async def test_an_encoded_body_is_refused_and_never_unpacked(
    address: Address, tenant: Tenant, path: str, encoding: str
) -> None:
    head = post(tenant, f"{path}/messages", f"Content-Encoding: {encoding}", "Content-Length: 2")
    answer = await exchange(address, head + b"\x1f\x8b")
    assert status_of(answer) == 415
    assert b"urn:planvault:problem:UNSUPPORTED_MEDIA_TYPE" in answer


async def test_identity_is_no_encoding(address: Address, tenant: Tenant, path: str) -> None:
    body = b'{"message": "hi"}'
    head = post(tenant, f"{path}/messages", "Content-Encoding: identity", f"Content-Length: {len(body)}")
    assert status_of(await exchange(address, head + body)) == 202


async def test_a_name_that_occurs_twice_is_refused_with_what_it_is(address: Address, tenant: Tenant, path: str) -> None:
    body = b'{"message": "hi", "message": "other"}'
    answer = await exchange(address, post(tenant, f"{path}/messages", f"Content-Length: {len(body)}") + body)
    assert status_of(answer) == 422
    assert b"occurs twice" in answer


async def test_a_slow_body_ends_and_its_connection_with_it(deps: ObservedDeps, tenant: Tenant, path: str) -> None:
    guarded = BodyGuard(application(deps), lambda _: 1_000, grace_s=0.2)
    async with served(guarded) as place:
        reader, writer = await asyncio.open_connection(*place)
        writer.write(post(tenant, f"{path}/messages", "Content-Length: 100") + b'{"message": ')
        await writer.drain()
        async with asyncio.timeout(10):
            answer = await reader.read()  # to its end: the server closes
        writer.close()
    assert status_of(answer) == 408
    assert b"urn:planvault:problem:REQUEST_TIMEOUT" in answer


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([f"X-One: {'x' * (MAX_HEADER + 1)}"], 431),
        ([f"X-{number}: {'x' * 10_000}" for number in range(MAX_HEAD // 10_000 + 1)], 431),
        ([f"X-{number}: x" for number in range(MAX_HEADERS + 1)], 431),
        ([f"X-One: {'x' * 1_000_000}"], 431),
        ([f"X-One: {'x' * 8_000}"], 200),
    ],
)
async def test_a_head_above_the_limit_is_refused(address: Address, headers: list[str], expected: int) -> None:
    head = "\r\n".join(["GET /api-docs HTTP/1.1", "Host: api", *headers]).encode() + b"\r\n\r\n"
    assert status_of(await exchange(address, head)) == expected


async def test_an_address_above_the_limit_is_refused(address: Address) -> None:
    for target, expected in ((f"/{'x' * MAX_TARGET}", 414), (f"/health?{'x' * MAX_TARGET}", 414), ("/api-docs", 200)):
        answer = await exchange(address, f"GET {target} HTTP/1.1\r\nHost: api\r\n\r\n".encode())
        assert status_of(answer) == expected, target


async def test_serves_own_list_of_routes_is_nobodys() -> None:
    async def proxy(scope: object, receive: object, send: object) -> None:
        raise AssertionError("the request reached Serve")

    async with served(HeadGuard(proxy)) as place:
        assert status_of(await exchange(place, b"GET /-/routes HTTP/1.1\r\nHost: api\r\n\r\n")) == 404
