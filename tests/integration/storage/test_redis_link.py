"""Redis may be missing, die, hang and come back: every question stays short, and nobody hears an error."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from planvault.storage import hints as hints_module
from planvault.storage import redis_link
from planvault.storage.hints import Hints
from planvault.storage.redis_link import ANSWER_S, LOST, RedisLink, open_link
from tests.integration.redis_server import RedisServer
from tests.integration.runtime.harness import eventually


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def link(server: RedisServer) -> AsyncIterator[RedisLink]:
    async with open_link(server.url) as opened:
        assert opened is not None
        yield opened


async def test_without_a_url_there_is_no_link() -> None:
    async with open_link("") as link:
        assert link is None


async def test_a_server_that_was_never_there_costs_one_short_question(tmp_path: Path) -> None:
    async with open_link(f"unix://{tmp_path}/nobody.sock") as link:
        assert link is not None
        started = time.monotonic()
        assert await link.ask("GET", "x") is None
        assert time.monotonic() - started < ANSWER_S + 0.1
        assert not link.is_up


async def test_a_server_that_hangs_is_asked_once_and_then_left_alone(link: RedisLink, server: RedisServer) -> None:
    assert await link.ask("SET", "x", "1")
    server.freeze()
    started = time.monotonic()
    assert await link.ask("GET", "x") is None
    assert ANSWER_S * 0.9 < time.monotonic() - started < ANSWER_S + 0.2
    started = time.monotonic()
    assert [await link.ask("GET", "x") for _ in range(1_000)] == [None] * 1_000
    assert time.monotonic() - started < ANSWER_S
    server.thaw()
    await eventually(lambda: link.is_up, what="its return")
    assert await link.ask("GET", "x") == b"1"


async def test_a_server_that_died_and_came_back_empty_is_used_again(link: RedisLink, server: RedisServer) -> None:
    await link.ask("SET", "x", "1")
    server.kill()
    assert await link.ask("GET", "x") is None
    server.start()
    await eventually(lambda: link.is_up, what="its return")
    assert await link.ask("GET", "x") is None
    assert link.is_up


async def test_a_server_that_pings_but_refuses_is_asked_ever_more_rarely(link: RedisLink, server: RedisServer) -> None:
    """Full, read-only or loading: a ping alone does not reset the pause."""
    for _ in range(3):
        assert await link.ask("INCRBY", "x", "no number") is None
        await eventually(lambda: link.is_up, what="the ping that closes the circuit")
    assert link._pause_s > redis_link._PAUSE_S[0] * 4


async def test_a_ping_says_what_is_wrong(link: RedisLink, server: RedisServer) -> None:
    await link.ping()
    server.kill()
    with pytest.raises(LOST):
        await link.ping()
    assert link.is_up  # looking changes nothing


async def test_a_note_reaches_all_who_listen_and_every_connection_begins_with_an_empty_one(
    link: RedisLink, server: RedisServer
) -> None:
    hints = Hints(link, server.url)
    heard: list[list[str]] = [[], []]
    tasks = [asyncio.create_task(hints.hear("c", notes.append)) for notes in heard]
    await eventually(lambda: heard == [[""], [""]], what="both subscriptions")
    await hints.tell("c", "1,2")
    await eventually(lambda: heard == [["", "1,2"], ["", "1,2"]], what="the note")
    server.kill()
    await hints.tell("c", "lost")
    server.start()
    await eventually(lambda: [notes[-1] for notes in heard] == ["", ""], what="the second subscriptions")
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_listener_notices_an_other_end_that_has_vanished(
    link: RedisLink, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints_module, "_SILENCE_S", 0.2)
    hints = Hints(link, server.url)
    heard: list[str] = []
    task = asyncio.create_task(hints.hear("c", heard.append))
    await eventually(lambda: heard == [""], what="the subscription")
    server.freeze()
    await asyncio.sleep(0.5)  # two silences: without the ping the listener would wait for ever
    server.thaw()
    await eventually(lambda: len(heard) >= 2, what="a new subscription")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_silent_channel_is_no_reason_to_reconnect(
    link: RedisLink, server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints_module, "_SILENCE_S", 0.05)
    hints = Hints(link, server.url)
    heard: list[str] = []
    task = asyncio.create_task(hints.hear("c", heard.append))
    await eventually(lambda: heard == [""], what="the subscription")
    with server.client() as client:
        before = client.info("stats")["total_connections_received"]
        await eventually(
            lambda: client.info("commandstats").get("cmdstat_ping", {}).get("calls", 0) >= 3, what="three pings"
        )
        assert client.info("stats")["total_connections_received"] == before
    assert heard == [""]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
