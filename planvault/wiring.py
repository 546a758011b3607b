"""The one composition root: builds pools and adapters inside each process; Ray adapters come in as arguments."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from planvault.clock import SystemClock, TimeOrderedIds
from planvault.crypto.assembly import key_providers
from planvault.net.ceiling import ceiling_of
from planvault.net.client import GuardedHttp
from planvault.ports import Embedder, Ids, Planner, ToolWorkers
from planvault.redact import Redactor
from planvault.runtime.effects import EffectRunner
from planvault.runtime.host import SessionRuntime, Store
from planvault.runtime.session import Runner
from planvault.scheduling.booking import Bookings
from planvault.scheduling.dispatch import Dispatcher, Outbound
from planvault.scheduling.from_plans import PostgresScheduling
from planvault.settings import Settings
from planvault.storage.audit import AuditLog
from planvault.storage.audit_anchors import AuditAnchoring
from planvault.storage.audit_chain import AuditChain
from planvault.storage.audit_keys import AuditKeys
from planvault.storage.blobs import Blobs
from planvault.storage.catalog_reader import CatalogReader
from planvault.storage.commands import Commands
from planvault.storage.hints import Hints
from planvault.storage.job_dispatch import JobDispatch
from planvault.storage.keys import PostgresKeyring
from planvault.storage.leases import PostgresLeases
from planvault.storage.policies import PostgresPolicies
from planvault.storage.pool import Pool, Role, open_pool
from planvault.storage.redis_link import open_link
from planvault.storage.scheduled_jobs import ScheduledJobs
from planvault.storage.secrets import PostgresSecrets
from planvault.storage.session_retention import audit_kept_for
from planvault.storage.session_store import SessionStore
from planvault.storage.sessions import Sessions
from planvault.storage.signals import PostgresSignals
from planvault.storage.tenants import Tenants
from planvault.tools.dispatch import ToolDispatcher
from planvault.tools.http import HttpExecutor
from planvault.tools.large import LargeResults
from planvault.tools.native import NativeExecutor
from planvault.tools.pool import WorkerProcesses
from retrieval.assembly import open_selector


@dataclass(frozen=True, slots=True)
class Around:
    """What a runtime's ports are wrapped in. Nothing, but where tests put faults at its boundaries."""

    store: Callable[[Store], Store] = lambda store: store
    runner: Callable[[Runner], Runner] = lambda runner: runner


@asynccontextmanager
async def open_session_runtime(
    settings: Settings,
    name: str,
    redactor: Redactor,
    embedder: Embedder,
    planner: Planner,
    around: Around | None = None,
    *,
    hints: Hints | None = None,
    cluster: str = "",
    workers: ToolWorkers | None = None,
) -> AsyncIterator[SessionRuntime]:
    """A session runtime under a host id of its own: `name`, and what tells this process's attempt from the last.

    `cluster`: the Ray cluster that the host belongs to; its hosts can be told to drain together. `workers`: who looks
    into large results; None: a process of this one's own, started when the first comes.
    """
    around = around or Around()
    ids, clock = TimeOrderedIds(), SystemClock()
    host = f"{name}-{ids.new()}"
    async with AsyncExitStack() as stack:
        # Appends and leases never wait behind reads: each has connections of its own.
        record = await stack.enter_async_context(await _own_pool(settings, "record", 4))
        lease = await stack.enter_async_context(await _own_pool(settings, "lease", 2))
        reads = await stack.enter_async_context(await _tenant_pool(settings, "reads", 6))
        keyring = PostgresKeyring(reads, key_providers(settings), ids)
        runner = await _open_runner(stack, settings, reads, keyring, redactor, embedder, planner, workers)
        session_store = SessionStore(settings.events_folder)
        await session_store.claim(reads, ids)
        events = stack.enter_context(session_store.events(record, keyring, host))
        leases = PostgresLeases(lease, host, settings.build_id, settings.lease_seconds, cluster)
        yield SessionRuntime(
            host,
            around.store(events),
            leases,
            around.runner(runner),
            clock,
            ids,
            shards=settings.shards,
            lease_s=settings.lease_seconds,
            hints=hints,
        )


async def _open_runner(
    stack: AsyncExitStack,
    settings: Settings,
    reads: Pool,
    keyring: PostgresKeyring,
    redactor: Redactor,
    embedder: Embedder,
    planner: Planner,
    workers: ToolWorkers | None,
) -> EffectRunner:
    """What carries a host's effects out; `stack` closes what it opens."""
    ids, clock = TimeOrderedIds(), SystemClock()
    http = GuardedHttp(ceiling=ceiling_of(settings))
    stack.push_async_callback(http.aclose)
    if workers is None:
        workers = await stack.enter_async_context(WorkerProcesses(settings.platform_url, settings.keyset))
    # Chunks of large results wait behind each other, and behind nothing else.
    chunks = await stack.enter_async_context(await _tenant_pool(settings, "blobs", 4))
    large = LargeResults(Blobs(chunks, keyring, ids), keyring, workers)
    native = NativeExecutor(clock, _scheduling(reads, keyring, ids, settings.shards))
    selector = await stack.enter_async_context(
        open_selector(reads, keyring, embedder, clock, resident_mb=settings.resident_index_mb)
    )
    return EffectRunner(
        selector=selector,
        catalog=CatalogReader(reads, keyring),
        planner=planner,
        executor=ToolDispatcher(HttpExecutor(http, redactor, clock, large), native),
        secrets=PostgresSecrets(reads, keyring, ids),
        signals=PostgresSignals(reads, keyring, keyring, settings.public_url),
        policies=PostgresPolicies(reads, keyring),
        monotonic=clock.monotonic,
        workers=workers,
    )


@asynccontextmanager
async def open_dispatcher(
    settings: Settings, around: Callable[[Outbound], Outbound] = lambda outbound: outbound
) -> AsyncIterator[Dispatcher]:
    """What sends scheduled jobs, with pools of its own: ciphers are looked up inside the transaction that sends.

    `around`: where tests put faults at its boundaries.
    """
    ids = TimeOrderedIds()
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(await _own_pool(settings, "scheduler", 2))
        keys = await stack.enter_async_context(await _own_pool(settings, "scheduler-keys", 1))
        link = await stack.enter_async_context(open_link(settings.redis_url))
        hints = None if link is None else Hints(link, settings.redis_url)
        keyring = PostgresKeyring(keys, key_providers(settings), ids)
        outbound = Outbound(
            Sessions(pool, keyring, keyring.pseudonym, settings.shards),
            PostgresSecrets(pool, keyring, ids),
            Commands(pool, keyring, ids, hints),
        )
        yield Dispatcher(pool, JobDispatch(keyring), around(outbound), ids)


def audit_anchoring(settings: Settings, pool: Pool) -> AuditAnchoring:
    """What signs and prunes audit logs. `pool`: the platform's."""
    ids, clock = TimeOrderedIds(), SystemClock()
    keyring = PostgresKeyring(pool, key_providers(settings), ids)
    chain = AuditChain(pool, keyring, AuditKeys(pool, keyring, ids, clock), clock)
    return AuditAnchoring(chain, clock, lambda scope: audit_kept_for(pool, scope))


def _scheduling(pool: Pool, keyring: PostgresKeyring, ids: Ids, shards: int) -> PostgresScheduling:
    jobs, commands, audit = ScheduledJobs(pool, keyring), Commands(pool, keyring, ids), AuditLog(pool, keyring)
    bookings = Bookings(jobs, commands, Tenants(pool, ids), audit, ids)
    return PostgresScheduling(pool, keyring, Sessions(pool, keyring, keyring.pseudonym, shards), bookings)


async def _own_pool(settings: Settings, name: str, maximum: int) -> Pool:
    """Connections that a shard's life hangs on give up within its lease."""
    return await open_pool(
        settings.platform_url,
        name=name,
        maximum=maximum,
        command_timeout_s=settings.lease_seconds,
        role=Role.PLATFORM,
    )


async def _tenant_pool(settings: Settings, name: str, maximum: int) -> Pool:
    """Connections for what a run of one organisation reads and writes: outside its scope they see nothing."""
    return await open_pool(settings.platform_url, name=name, maximum=maximum, role=Role.TENANT)
