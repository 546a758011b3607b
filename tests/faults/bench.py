"""Where sessions are played to their end while hosts die: one database, one counting service, hosts from a zygote."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from models.commands import Action as Answer
from models.commands import CommandKind, Message
from models.ids import IntegrationId, MessageId, ProjectId, SessionId, TokenId, shard_of
from models.policies import EgressPolicy, OrgSettings, ProjectSettings, SessionSettings
from models.tenants import OrgScope, ProjectScope, SessionScope
from planvault.clock import TimeOrderedIds
from planvault.crypto.kek import LocalKeyWrapper
from planvault.ingestion.native import install_native_tools
from planvault.ingestion.worker import CatalogImporter, ImporterOptions
from planvault.net.client import GuardedHttp
from planvault.storage import catalog, catalog_imports
from planvault.storage.commands import Commands
from planvault.storage.history import HistoryEvent
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import Pool, open_pool, transaction
from planvault.storage.runs import RunRecord, Runs
from planvault.storage.session_store import SessionStore
from planvault.storage.sessions import SessionDraft, Sessions
from planvault.storage.signals import Callbacks, Delivery
from planvault.storage.tenants import Tenants
from retrieval.embedding import EMBEDDING_MODEL
from tests.faults import scenarios
from tests.faults.boundaries import Action, Boundary
from tests.faults.host import EmbedderTwin
from tests.faults.processes import PATIENCE_S, Host, Service, Zygote

SHARDS = 8
_LOOK_S = 0.005  # between two looks at another process's work
_ROWS = """
    SELECT epoch, min(seq) AS first_seq, max(seq) AS last_seq, count(*) AS events
    FROM events WHERE session_id = $1 GROUP BY epoch ORDER BY min(seq)
"""
_SEGMENTS = """
    SELECT epoch, first_seq, last_seq, last_seq - first_seq + 1 AS events
    FROM event_segments WHERE session_id = $1 ORDER BY first_seq
"""
_CASES = itertools.count(1)  # of all tests: they share the counting service


@dataclass
class Played:
    """What became of one case."""

    scenario: str
    case: str
    scope: SessionScope
    boundary: Boundary | None
    run: RunRecord
    history: list[HistoryEvent]
    trace: list[dict[str, Any]]  # what the armed host told: appends and effects, in order
    verdict: dict[str, Any]  # the counting service's
    questions: list[str]  # what people were asked, in order
    kills: int


class Bench:
    """Plays cases one after the other. The host that ends one case begins the next."""

    def __init__(
        self,
        pool: Pool,
        url: str,
        keyset: Path,
        service: Service,
        zygote: Zygote,
        folder: Path,
        events_dir: Path | None = None,
    ) -> None:
        self.pool = pool
        self.events_dir = events_dir
        self.url = url
        self.service = service
        self.ids = TimeOrderedIds()
        self.keyring = PostgresKeyring(pool, LocalKeyWrapper.at(keyset), self.ids)
        self._keyset = keyset
        self._zygote = zygote
        self._socket = folder / "control"
        self._hosts: list[Host] = []
        self._born: list[Host] = []
        self._arrived: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self._listening: set[asyncio.Task[None]] = set()
        self.scope: ProjectScope

    async def prepare(self) -> None:
        """An organisation of its own with the counting service's tools. Hosts of earlier tests are gone, and silent."""
        await self.pool.execute("DELETE FROM hosts")
        tenants = Tenants(self.pool, self.ids)
        made = await tenants.create_organization("Faults", OrgSettings(egress=EgressPolicy(allow_loopback=True)))
        org = OrgScope(org_id=made.id)
        settings = ProjectSettings(runtime_policy=scenarios.POLICY)
        project = await tenants.create_project(org, "one", settings)
        self.scope = ProjectScope(org_id=made.id, project_id=ProjectId(project.id))
        integration = IntegrationId(self.ids.new())
        await catalog.create_integration(
            self.pool, org, integration, alias="counting", display_name="counting", base_url=self.service.base_url
        )
        import_id = self.ids.new()
        text = json.dumps(scenarios.document())
        await catalog_imports.create_import(self.pool, org, import_id, integration, document=text, spec_url=None)  # type: ignore[arg-type]
        await install_native_tools(self.pool, org, self.ids)
        http = GuardedHttp()
        options = ImporterOptions(embedding_model=EMBEDDING_MODEL)
        importer = CatalogImporter(self.pool, http, EmbedderTwin(), self.ids, options)
        while await importer.run_one():
            pass
        await http.aclose()

    # ── hosts ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def spawn(self, url: str | None = None, zygote: Zygote | None = None) -> Host:
        """A fresh host, on its way to owning shards. `url`: another way to the same database."""
        name = f"host-{self.ids.new().hex[-8:]}"
        order = {
            "name": name,
            "socket": str(self._socket),
            "counter": self.service.counter,
            "database_url": url or self.url,
            "keyset": str(self._keyset),
            "events": None if self.events_dir is None else str(self.events_dir),
        }
        pid = await asyncio.to_thread((zygote or self._zygote).fork, order)
        async with asyncio.timeout(PATIENCE_S):
            reader, writer = await self._arrived.get()
        host = Host(name, pid, reader, writer)
        task = asyncio.create_task(host.listen())
        self._listening.add(task)
        task.add_done_callback(self._listening.discard)
        await host.told("hello")
        self._hosts.append(host)
        self._born.append(host)
        return host

    async def silence(self, host: Any) -> None:
        """Let the lease of a host that is no more have run out: in database time it was last heard of long ago."""
        await self.pool.execute(
            "UPDATE hosts SET heartbeat_at = heartbeat_at - interval '1 hour' WHERE id LIKE $1", f"{host.name}-%"
        )

    async def a_host(self) -> Host:
        """The host that lives, or a fresh one once those that died are out of the way."""
        for host in [host for host in self._hosts if host.dead]:
            await self.forget(host)
        return self._hosts[0] if self._hosts else await self.spawn()

    async def forget(self, host: Any) -> None:
        """A dead host."""
        await self.silence(host)
        if host in self._hosts:
            self._hosts.remove(host)

    async def dismiss(self) -> None:
        """End the hosts that live; the coming cases have others."""
        for host in self._hosts:
            os.kill(host.pid, signal.SIGKILL)
            await host.death()
            await self.silence(host)
        self._hosts.clear()

    async def close(self) -> None:
        for host in self._born:
            if not host.dead:
                with suppress(ProcessLookupError):  # it ended by itself a moment ago
                    os.kill(host.pid, signal.SIGKILL)
            host.writer.close()
        await asyncio.gather(*self._listening)

    # ── cases ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def session(self, **settings: Any) -> SessionScope:
        sessions = Sessions(self.pool, self.keyring, self.keyring.pseudonym, SHARDS)
        draft = SessionDraft({}, {}, (), None, SessionSettings.model_validate(settings))
        session_id = SessionId(self.ids.new())
        async with transaction(self.pool) as connection:
            await sessions.insert(connection, self.scope, session_id, draft)
        return SessionScope(**self.scope.model_dump(), session_id=session_id)

    def case(self) -> str:
        return f"case{next(_CASES):04d}"

    async def says(self, scope: SessionScope, text: str) -> None:
        await self.asks(scope, CommandKind.MESSAGE, Message(message_id=MessageId(self.ids.new()), text=text))

    async def asks(self, scope: SessionScope, kind: CommandKind, payload: Message | Answer) -> None:
        commands = Commands(self.pool, self.keyring, self.ids)
        async with transaction(self.pool) as connection:
            await commands.enqueue(connection, scope, kind, payload)
        await commands.wake(shard_of(scope.session_id, SHARDS))

    async def answer(self, scope: SessionScope, pending: Mapping[str, Any]) -> None:
        """What a run waits for: people's words, or a service's call back."""
        if pending["kind"] == "signal":
            token = TokenId(UUID(str(pending["tokenId"])))
            commands = Commands(self.pool, self.keyring, self.ids)
            secret = await self.keyring.signal_secret(scope.org_id, token)
            async with transaction(self.pool) as connection:
                delivery, shard = await Callbacks(commands, self.keyring).deliver(
                    connection, scope.project_id, token, secret, scenarios.SIGNAL
                )
            assert delivery is Delivery.ACCEPTED
            assert shard is not None
            await commands.wake(shard)
        else:
            await self.asks(scope, *scenarios.answer(pending))

    async def run_of(self, scope: SessionScope) -> RunRecord | None:
        runs = await Runs(self.pool, self.keyring).page(scope, None, 1)
        return runs[0] if runs else None

    async def history(self, scope: SessionScope) -> list[HistoryEvent]:
        store = SessionStore(self.events_dir)
        return await store.history(self.pool, self.keyring).newest(scope, None, 1_000)

    async def stretches(self, scope: SessionScope) -> list[tuple[int, int, int]]:
        """The record's (epoch, first seq, last seq) in the order of seqs; each stretch is gapless."""
        rows = await self.pool.fetch(_ROWS if self.events_dir is None else _SEGMENTS, scope.session_id)
        assert all(row["events"] == row["last_seq"] - row["first_seq"] + 1 for row in rows)
        return [(row["epoch"], row["first_seq"], row["last_seq"]) for row in rows]

    async def play(self, scenario: str, boundary: Boundary | None = None) -> Played:
        """One session of the scenario to its end; its first host dies at the boundary, and another goes on."""
        act = await self.begin(scenario, boundary, Action.KILL)
        await act.end()
        if boundary is not None:  # at the last append nobody waits for it
            await act.host.death()
        return await act.end()

    async def begin(self, scenario: str, boundary: Boundary | None, action: Action, host: Host | None = None) -> Act:
        """A session whose appends `host` counts."""
        host = host or await self.a_host()
        case, scope = self.case(), await self.session()
        await host.arm(scope, case, boundary, action)
        await self.says(scope, scenarios.prompt(scenario, case))
        return Act(self, scenario, case, scope, boundary, host, Seat(self, scope))

    async def stuck(self, scope: SessionScope, boundary: Boundary | None) -> str:
        """What is known of a session that does not come to its end."""
        last = [(event.seq, event.type.value, event.payload) for event in (await self.history(scope))[-3:]]
        log = self._zygote.log.read_text()[-3_000:]
        return f"{boundary}: the session stands still at {await self.run_of(scope)}\n{last}\n{log}"


@dataclass
class Act:
    """A case under way."""

    bench: Bench
    scenario: str
    case: str
    scope: SessionScope
    boundary: Boundary | None
    host: Any  # that counts its appends: a Host, or tests.faults.ray_host's
    seat: Seat

    async def reaches(self) -> None:
        """Answer what is asked until the host stands at the boundary."""
        await self._until(lambda _: any("reached" in news for news in self.host.news))
        await self.host.told("reached")

    async def dies(self) -> None:
        """Answer what is asked until the host is dead; who follows it is the test's to say."""
        await self._until(lambda _: self.host.dead, others=False)
        await self.bench.forget(self.host)

    async def asks(self, kind: str) -> None:
        """Answer what is asked until this is."""
        await self._until(lambda _: kind in self.seat.questions)

    async def end(self, *, others: bool = True) -> Played:
        """To the run's end. Where no host lives, another begins; not so without `others`."""
        await self._until(lambda run: run is not None, others=others)
        await self.bench.service.ask("release", self.case)
        run = await self.bench.run_of(self.scope)
        assert run is not None
        return Played(
            self.scenario,
            self.case,
            self.scope,
            self.boundary,
            run,
            await self.bench.history(self.scope),
            [news for news in self.host.news if "append" in news],  # appends, and the effects behind them
            await self.bench.service.ask("verdict", self.case),
            self.seat.questions,
            int(self.host.dead),
        )

    async def _until(self, held: Callable[[RunRecord | None], bool], *, others: bool = True) -> None:
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while not held(await self.seat.look()):
            if asyncio.get_running_loop().time() > deadline:
                raise AssertionError(await self.bench.stuck(self.scope, self.boundary))
            if others:
                await self.bench.a_host()
            await asyncio.sleep(_LOOK_S)


class Seat:
    """The person in front of one session: answers each open question once."""

    def __init__(self, bench: Bench, scope: SessionScope) -> None:
        self._bench = bench
        self._scope = scope
        self._answered: dict[str, int] = {}  # question → commands of the session before its answer
        self._done: set[str] = set()
        self.questions: list[str] = []

    async def look(self) -> RunRecord | None:
        """The run once it has ended; answers its question where there is a new one."""
        run = await self._bench.run_of(self._scope)
        if run is None or run.status.is_terminal:
            return run
        if run.pending is not None and run.pending["kind"] != "timer":  # that ends by itself
            question = json.dumps(run.pending, sort_keys=True)
            if question not in self._done:
                await self._answer(question, run.pending)
                self._done.add(question)
                self.questions.append(str(run.pending["kind"]))
        return None

    async def _answer(self, question: str, pending: Mapping[str, Any]) -> None:
        """Once, though the database may go away while it is given: then the next look knows whether it landed."""
        count = "SELECT count(*) FROM commands WHERE session_id = $1"
        given = await self._bench.pool.fetchval(count, self._scope.session_id)
        if self._answered.setdefault(question, given) == given:
            await self._bench.answer(self._scope, pending)


@asynccontextmanager
async def open_bench(
    url: str, keyset: Path, service: Service, zygote: Zygote, folder: Path, events_dir: Path | None = None
) -> AsyncIterator[Bench]:
    """Ends its hosts, frozen ones too. `events_dir`: where the database's sessions keep their events, if not in it."""
    pool = await open_pool(url, name="faults")
    bench = Bench(pool, url, keyset, service, zygote, folder, events_dir)
    bench._socket.unlink(missing_ok=True)

    async def arrived(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        bench._arrived.put_nowait((reader, writer))

    server = await asyncio.start_unix_server(arrived, bench._socket)
    try:
        await bench.prepare()
        yield bench
    finally:
        await bench.close()
        server.close()
        await pool.close()
