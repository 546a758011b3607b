"""The database, or the way to it, fails under a host that lives: as if nothing had happened."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from cluster.data_dir import prepare
from cluster.postgres import Server, embedded
from cluster.server_user import server_user
from models.ids import shard_of
from planvault.storage.migrate import migrate
from tests.faults.bench import SHARDS, Act, Bench, open_bench
from tests.faults.boundaries import Action, Boundary, Phase
from tests.faults.expectation import Undisturbed, undisturbed
from tests.faults.judging import faults_of_unharmed
from tests.faults.processes import Service, Zygote
from tests.faults.proxy import Wire, wire_to
from tests.integration.runtime.harness import eventually

SCENARIO = "failing"  # has a safe tool and one that must not be repeated

WAITING_APPEND = """
    SELECT pid FROM pg_stat_activity
    WHERE datname = current_database() AND application_name = 'planvault/record' AND wait_event_type = 'Lock'
"""


@pytest.fixture
async def wire(database_url: str) -> AsyncIterator[Wire]:
    async with wire_to(database_url) as wire:
        yield wire


def appends_of_mail(story: Undisturbed) -> tuple[int, int]:
    """The append that intends the call that must not be repeated, and the one that records its result."""
    [mail] = [attempt for attempt in story.attempts if attempt.tool == "send_mail"]
    return mail.intended_in, mail.recorded_in


@pytest.mark.parametrize("delivered", [True, False], ids=["after it landed", "before it arrived"])
async def test_a_connection_cut_in_a_commit_repeats_and_loses_nothing(
    bench: Bench, wire: Wire, delivered: bool
) -> None:
    await cut_in_commits(bench, wire, delivered=delivered)


async def cut_in_commits(bench: Bench, wire: Wire, *, delivered: bool) -> None:
    """Of the first append and of the two around the call that must not be repeated."""
    whole = await bench.play(SCENARIO)
    await bench.dismiss()
    host = await bench.spawn(wire.url)
    on_files = bench.events_dir is not None
    phase = Phase.IN_TRANSACTION if on_files else Phase.BEFORE_APPEND
    for append in (1, *appends_of_mail(undisturbed(whole.trace))):
        act = await bench.begin(SCENARIO, Boundary(append, phase), Action.PAUSE, host)
        await act.reaches()
        # What goes over the wire next: the end of this append's transaction, or its one statement.
        cut = wire.cut(b"COMMIT" if on_files else act.scope.session_id.bytes, delivered=delivered)
        host.say(op="go")
        played = await act.end()
        assert cut.struck.is_set()
        assert await faults_of_unharmed(bench, whole, played) == []


async def test_every_connection_cut_at_once_repeats_and_loses_nothing(bench: Bench, wire: Wire) -> None:
    whole = await bench.play(SCENARIO)
    await bench.dismiss()
    host = await bench.spawn(wire.url)
    for phase in (Phase.BEFORE_APPEND, Phase.AFTER_APPEND):
        for append in appends_of_mail(undisturbed(whole.trace)):
            act = await bench.begin(SCENARIO, Boundary(append, phase), Action.PAUSE, host)
            await act.reaches()
            wire.cut_all()
            host.say(op="go")
            assert await faults_of_unharmed(bench, whole, await act.end()) == []


async def test_the_backend_that_does_an_append_ended_in_the_middle_of_it(bench: Bench, database_url: str) -> None:
    """Held on the shard's row, where the append waits inside its statement, and ended there."""
    whole = await bench.play(SCENARIO)
    for append in appends_of_mail(undisturbed(whole.trace)):
        act = await bench.begin(SCENARIO, Boundary(append, Phase.BEFORE_APPEND), Action.PAUSE)
        await act.reaches()
        blocker = await asyncpg.connect(database_url)
        async with blocker.transaction():
            shard = shard_of(act.scope.session_id, SHARDS)
            await blocker.execute("SELECT FROM shard_owner WHERE shard = $1 FOR UPDATE", shard)
            act.host.say(op="go")
            await eventually(lambda: bench.pool.fetchval(WAITING_APPEND), what="the append that waits")
            assert await bench.pool.fetchval(f"SELECT pg_terminate_backend(({WAITING_APPEND}))")
        await blocker.close()
        assert await faults_of_unharmed(bench, whole, await act.end()) == []


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A Postgres that nobody else uses."""
    root = Path(tempfile.mkdtemp(prefix="planvault-pg-"))
    user = server_user()
    server = embedded(prepare(root, user), user)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(root, ignore_errors=True)


@pytest.mark.faults
async def test_postgres_stopped_at_once_and_started_again_under_load(
    own_server: Server, keyset: Path, service: Service, zygote: Zygote, tmp_path: Path
) -> None:
    url = own_server.url("postgres")
    await migrate(url)
    async with open_bench(url, tmp_path / "keyset.json", service, zygote, tmp_path) as bench:
        whole = await bench.play("everything")
        host = await bench.a_host()
        for outage in range(3):
            acts = [await bench.begin("everything", None, Action.PAUSE, host) for _ in range(12)]
            await asyncio.gather(*(act.asks(("plan", "signal", "tool")[outage]) for act in acts))
            running = asyncio.gather(*(ended(act) for act in acts))
            await restarted(own_server)
            for act in await running:
                assert await faults_of_unharmed(bench, whole, await act.end()) == []


async def restarted(server: Server) -> None:
    """An immediate shutdown: no checkpoint, crash recovery at the next start."""
    pid = server.pid()
    assert pid is not None
    os.kill(pid, signal.SIGQUIT)
    await eventually(lambda: server.pid() is None, what="the postmaster's end")
    await asyncio.to_thread(server.start)


async def ended(act: Act) -> Act:
    """The act at its end; while the database is away nobody can look."""
    while True:
        try:
            await act.end()
            return act
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await asyncio.sleep(0.05)
