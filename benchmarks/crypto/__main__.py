"""`python -m benchmarks.crypto [--events N] [--clients N]`: sealing, the watch on sealed columns, rotation under load.

One throw-away database. The foreground is `--clients` sessions that each append an event of two values and read twenty,
one after the other with 20 ms in between, through the same keyring and the append's own statement shape.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from uuid import UUID

import psutil

from benchmarks.runtime.server import throw_away
from models.ids import OrgId, ProjectId, SessionId
from models.policies import SessionSettings
from models.tenants import OrgScope, ProjectScope, SessionScope
from planvault.clock import TimeOrderedIds
from planvault.crypto.envelope import DataKey, EnvelopeCipher
from planvault.crypto.kek import LocalKeyWrapper
from planvault.crypto.providers import KeyProviders
from planvault.storage.history import event_seal
from planvault.storage.keys import PostgresKeyring
from planvault.storage.migrate import migrate
from planvault.storage.pool import Pool, open_pool
from planvault.storage.rotation import Rotations
from planvault.storage.rotation_steps import RotationSteps
from planvault.storage.sessions import SessionDraft, Sessions
from planvault.storage.tenancy import within
from planvault.storage.tenants import Tenants

_IDS = TimeOrderedIds()
_PAYLOAD = b'{"text":"' + b"x" * 300 + b'"}'
_INSERT = (
    "INSERT INTO events (session_id, seq, org_id, shard, epoch, type, visibility, schema_version, at, payload)"
    " SELECT $1, seq, $2, 0, 1, 'prompt', 'history', 1, now(), payload FROM unnest($3::bigint[], $4::bytea[])"
    " AS row (seq, payload)"
)
_READ = (
    "SELECT seq, payload FROM events WHERE org_id = $1 AND session_id = $2 ORDER BY seq DESC LIMIT 20"  # newest history
)
_BACKENDS = "SELECT pid FROM pg_stat_activity WHERE application_name = current_setting('application_name')"
_PAUSE_S = 0.02
_PER_SESSION = 1_000


def four_kib(laps: int = 20_000) -> float:
    """Microseconds to seal and open 4 KiB, median of ten rounds."""
    key, session = DataKey(_IDS.new(), 1, os.urandom(32)), _IDS.new()
    cipher, text = EnvelopeCipher(OrgId(_IDS.new()), {key.id: key}, key.id), os.urandom(4_096)
    rounds = []
    for _ in range(10):
        began = perf_counter()
        for seq in range(laps // 10):
            place = event_seal(SessionId(session), seq)
            cipher.open(cipher.seal(text, place), place)
        rounds.append((perf_counter() - began) / (laps // 10))
    return statistics.median(rounds) * 1e6


class Bench:
    def __init__(self, pool: Pool, folder: Path) -> None:
        self.pool = pool
        self.providers = KeyProviders.only(LocalKeyWrapper.at(folder / "keyset.json"))
        self.ring = PostgresKeyring(pool, self.providers, _IDS)
        self.scope = ProjectScope(org_id=OrgId(UUID(int=0)), project_id=ProjectId(UUID(int=0)))

    async def begin(self) -> None:
        tenants = Tenants(self.pool, _IDS)
        org = await tenants.create_organization("Bench")
        project = await tenants.create_project(OrgScope(org_id=org.id), "Default")
        self.scope = ProjectScope(org_id=org.id, project_id=ProjectId(project.id))

    async def session(self) -> SessionScope:
        session_id = SessionId(_IDS.new())
        draft = SessionDraft({}, {}, (), None, SessionSettings())
        async with within(self.pool, self.scope) as connection:
            sessions = Sessions(self.pool, self.ring, self.ring.pseudonym, 4)
            await sessions.insert(connection, self.scope, session_id, draft)
        return SessionScope(org_id=self.scope.org_id, project_id=self.scope.project_id, session_id=session_id)

    async def append(self, session: SessionScope, seqs: Sequence[int]) -> None:
        cipher = await self.ring.session_cipher(session)
        sealed = [cipher.seal(_PAYLOAD, event_seal(session.session_id, seq)) for seq in seqs]
        async with within(self.pool, self.scope) as connection:
            await connection.execute(_INSERT, session.session_id, session.org_id, list(seqs), sealed)

    async def read(self, session: SessionScope) -> None:
        cipher = await self.ring.session_cipher(session)
        async with within(self.pool, self.scope) as connection:
            rows = await connection.fetch(_READ, session.org_id, session.session_id)
        for row in rows:
            cipher.open(row["payload"], event_seal(session.session_id, row["seq"]))

    async def fill(self, events: int) -> None:
        for _ in range(events // _PER_SESSION):
            await self.append(await self.session(), range(1, _PER_SESSION + 1))

    async def watch(self, laps: int = 1_500) -> tuple[float, float]:
        """Microseconds of an append of two events, with and without the watch on sealed columns; in turns."""
        times: dict[str, list[float]] = {"ENABLE": [], "DISABLE": []}
        session, seq = await self.session(), 1
        for _ in range(6):
            for verb, found in times.items():
                for trigger in ("sealed_events_payload_new", "sealed_events_payload"):
                    await self.pool.execute(f"ALTER TABLE events {verb} TRIGGER {trigger}")
                for _ in range(laps // 6):
                    began = perf_counter()
                    await self.append(session, (seq, seq + 1))
                    found.append(perf_counter() - began)
                    seq += 2
        for trigger in ("sealed_events_payload_new", "sealed_events_payload"):
            await self.pool.execute(f"ALTER TABLE events ENABLE TRIGGER {trigger}")
        return statistics.median(times["ENABLE"]) * 1e6, statistics.median(times["DISABLE"]) * 1e6

    async def client(self, times: list[float], failures: list[BaseException]) -> None:
        session, seq = await self.session(), 1
        while True:
            began = perf_counter()
            try:
                await self.append(session, (seq, seq + 1))
                await self.read(session)
            except Exception as fault:  # noqa: BLE001 - counted: none is allowed
                failures.append(fault)
            times.append(perf_counter() - began)
            seq += 2
            await asyncio.sleep(_PAUSE_S)

    async def rotate(self, clients: int, alone_s: float) -> str:
        times: list[float] = []
        failures: list[BaseException] = []
        load = [asyncio.create_task(self.client(times, failures)) for _ in range(clients)]
        await asyncio.sleep(2)
        times.clear()
        await asyncio.sleep(alone_s)
        alone = _quantiles(times)
        async with within(self.pool, self.scope) as connection:
            await Rotations(self.pool, _IDS).begin(connection, self.scope)
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.crypto.worker"),
            env={**os.environ, "BENCH_URL": self.url, "BENCH_KEYSET": str(self.keyset)},
        )
        rotations, began, started, walked = Rotations(self.pool, _IDS), 0.0, 0, 0.0
        while (newest := await rotations.newest(self.scope)) is not None and newest.state.value != "completed":
            if newest.state.value == "encrypting" and newest.reencrypted and not began:
                began, started = perf_counter(), newest.reencrypted
                times.clear()
            if newest.passes and not walked:
                walked = perf_counter()
            await asyncio.sleep(0.2)
        assert newest is not None
        took, proven = walked - began, perf_counter() - walked
        during = _quantiles(times)
        times.clear()
        await asyncio.sleep(alone_s)
        again = _quantiles(times)
        for task in load:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await worker.wait()
        rate = (newest.reencrypted - started) / took
        return (
            f"rotation: {newest.reencrypted} values, {rate:,.0f}/s, proven empty {proven:.1f} s later ({newest.passes} "
            f"walks), load {os.getloadavg()[0]:.0f}; "
            f"{clients} clients p50/p99 {alone} ms alone before, {during} ms beside it, {again} ms alone after; "
            f"{len(failures)} failed {failures[:1]}"
        )

    url = ""
    keyset = Path()


def _quantiles(times: list[float]) -> str:
    found = statistics.quantiles(times, n=100)
    return f"{found[49] * 1e3:.1f}/{found[98] * 1e3:.1f}"


async def worker(url: str, keyset: Path) -> None:
    """The caretaker's part, in a process of its own as there."""
    async with await open_pool(url, name="bench-keys", maximum=3) as pool:
        steps = RotationSteps(pool, KeyProviders.only(LocalKeyWrapper.at(keyset)), _IDS, spread_s=35.0)
        began = await _spent(pool)
        while True:
            if not await steps.once() and not await pool.fetchval(
                "SELECT EXISTS (SELECT FROM key_rotations WHERE state <> 'completed')"
            ):
                break
            await asyncio.sleep(0.2)
        here, there = (after - before for before, after in zip(began, await _spent(pool), strict=True))
        values = await pool.fetchval("SELECT sum(reencrypted)::bigint FROM key_rotations")
        print(f"a value: {here / values * 1e6:.1f} µs CPU in the worker, {there / values * 1e6:.1f} µs in its backends")


async def _spent(pool: Pool) -> tuple[float, float]:
    """CPU seconds so far of this process, and of its backends, which are on this machine."""
    backends = [psutil.Process(row["pid"]).cpu_times() for row in await pool.fetch(_BACKENDS)]
    return process_time(), sum(times.user + times.system for times in backends)


async def main(events: int, clients: int) -> None:
    print(f"4 KiB sealed and opened: {four_kib():.1f} µs")
    with throw_away() as server, TemporaryDirectory() as folder:
        await migrate(server.url)
        async with await open_pool(server.url, name="bench", maximum=8) as pool:
            bench = Bench(pool, Path(folder))
            bench.url, bench.keyset = server.url, Path(folder) / "keyset.json"
            await bench.begin()
            watched, unwatched = await bench.watch()
            print(f"append of two events: {watched:.0f} µs watched, {unwatched:.0f} µs not")
            await bench.fill(events)
            print(await bench.rotate(clients, 10.0))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crypto", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, default=32)
    asyncio.run(main(**vars(parser.parse_args())))
