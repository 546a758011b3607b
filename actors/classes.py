"""The plain classes as Ray actors: names, options, and nothing else.

Detached, restarted without end, never retried by Ray: a call that Ray repeats would be a second effect. A restarted
actor reruns only `__init__` and reads everything else from Postgres. Names carry the build, because `get_if_exists`
across an upgrade returns the old code (design, "On Ray").

Each actor imports what it wraps when it is made: this module is loaded in the processes of all of them and of their
driver, and with every plain class it took 1.2 s of processor time and 155 MiB there, 0.6 s and 100 MiB without.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Any

import ray
import structlog
from ray.exceptions import RayError

from actors.handles import RayToolWorkers, ServeEmbedder, ServePlanner, tool_worker_names
from actors.supervisor import Desired
from planvault.clock import TimeOrderedIds
from planvault.redact import Redactor
from planvault.settings import Settings
from planvault.telemetry import start_logging

_log = structlog.get_logger(__name__)

NAMESPACE = "planvault"
_DETACHED = {"namespace": NAMESPACE, "lifetime": "detached", "num_cpus": 0, "max_restarts": -1, "max_task_retries": 0}
_SERVES_S = 2.0  # a busy actor answers in milliseconds
_SUPERVISOR = "supervisor"


@ray.remote
class SessionHostActor:
    def __init__(self, name: str) -> None:
        from actors.session_host import SessionHost

        settings, redactor = open_process()
        parts = (name, settings, redactor, ServeEmbedder(), ServePlanner())
        build_id = name.split("-", 3)[-1]  # session-host-SLOT-BUILD: the environment may be an older build's
        workers = RayToolWorkers(NAMESPACE, tool_worker_names(settings.tool_workers, build_id))
        self._host = SessionHost(*parts, cluster=this_cluster(), workers=workers)
        self._host.start()

    async def stats(self) -> dict[str, int]:
        return self._host.stats

    async def pid(self) -> int:
        return os.getpid()

    async def drain(self) -> None:
        await self._host.drain()


@ray.remote
class CatalogWorkerActor:
    """`bulk_import`: the command that does a bulk import, given from above (cluster.jobs.driver)."""

    def __init__(self, name: str, bulk_import: Sequence[str] = ()) -> None:
        from actors.catalog_worker import CatalogWorker
        from actors.job_process import JobProcesses
        from actors.learner import Learner

        settings, _ = open_process()
        address = str(ray.get_runtime_context().gcs_address)
        jobs = JobProcesses((*bulk_import, address)) if bulk_import else None
        self._worker = CatalogWorker(settings, ServeEmbedder(), jobs)
        self._task = asyncio.create_task(self._worker.run())
        self._learner = Learner(settings, ServeEmbedder())
        self._learning = asyncio.create_task(self._learner.run())

    async def pid(self) -> int:
        return os.getpid()

    async def drain(self) -> None:
        """Stop; an import under way is taken over by the next worker when its lease runs out, a lesson by the next."""
        self._task.cancel()
        self._learning.cancel()


@ray.remote
class ToolWorkerActor:
    def __init__(self, name: str) -> None:
        from actors.tool_worker import ToolWorker

        settings, _ = open_process()
        self._worker = ToolWorker(settings)
        self._worker.start()

    async def run(self, job: bytes) -> bytes:
        return await self._worker.run(job)

    async def pid(self) -> int:
        return os.getpid()

    async def drain(self) -> None:
        """Stop; a job that is left behind is asked for again, of the next build's workers."""
        await self._worker.stop()


@ray.remote
class SchedulerActor:
    def __init__(self, name: str) -> None:
        from actors.scheduler import Scheduler

        settings, _ = open_process()
        self._scheduler = Scheduler(settings)
        self._scheduler.start()

    async def pid(self) -> int:
        return os.getpid()

    async def drain(self) -> None:
        await self._scheduler.drain()


@ray.remote
class SupervisorActor:
    """`rank`: an id in order of time, made where the actor was started; `build_id`: whose actors it keeps running;
    `bulk_import`: what its catalog workers do bulk imports with.

    Ray restarts it with the same. The environment is the node's, which an upgrade inside a cluster does not change.
    """

    def __init__(self, rank: str, build_id: str, bulk_import: Sequence[str] = ()) -> None:
        from actors.caretaker import Caretaker

        settings, _ = open_process()
        settings = settings.model_copy(update={"build_id": build_id})
        given = {"CatalogWorker": (bulk_import,)}
        fleet = RayFleet(supervisor_name(settings), settings.drain_seconds, given)
        self._caretaker = Caretaker(settings, fleet, desired(settings), cluster=this_cluster(), rank=rank)
        self._task = asyncio.create_task(self._caretaker.run())

    async def rounds(self) -> int:
        supervisor = self._caretaker.supervisor
        return supervisor.rounds if supervisor is not None else 0


def open_process() -> tuple[Settings, Redactor]:
    """What every actor's process starts with. Logs and tool calls share the redactor: it knows what calls bind."""
    settings = Settings()
    return settings, start_logging(settings, os.environ)


_KINDS: dict[str, Any] = {
    "SessionHost": SessionHostActor,
    "CatalogWorker": CatalogWorkerActor,
    "Scheduler": SchedulerActor,
    "ToolWorker": ToolWorkerActor,
}


def desired(settings: Settings) -> Desired:
    hosts = {f"session-host-{slot}-{settings.build_id}": "SessionHost" for slot in range(settings.session_hosts)}
    workers = {f"catalog-worker-{settings.build_id}": "CatalogWorker", f"scheduler-{settings.build_id}": "Scheduler"}
    tool_workers = dict.fromkeys(tool_worker_names(settings.tool_workers, settings.build_id), "ToolWorker")
    return Desired({**hosts, **workers, **tool_workers})


class RayFleet:
    """Implements Fleet over the cluster's named actors. `supervisor` is the one that it works for; `given`: what
    actors of a kind get beside their name."""

    def __init__(self, supervisor: str, drain_s: float, given: Mapping[str, tuple[Any, ...]] | None = None) -> None:
        self._supervisor = supervisor
        self._drain_s = drain_s
        self._given = given or {}

    async def running(self) -> frozenset[str]:
        return await asyncio.to_thread(_named_actors)

    async def start(self, name: str, kind: str) -> None:
        options: dict[str, Any] = {**_DETACHED, "name": name, "get_if_exists": True, "max_concurrency": 1_000}
        _KINDS[kind].options(**options).remote(name, *self._given.get(kind, ()))

    async def serves(self, name: str, kind: str) -> bool:
        actor = await asyncio.to_thread(_found, name)
        if actor is None:
            return False
        try:
            async with asyncio.timeout(_SERVES_S):
                if kind == "SessionHost":
                    return bool(await actor.stats.remote())  # empty while it has no database
                await actor.pid.remote()
        except (TimeoutError, RayError):
            return False
        return True

    async def retire(self, name: str) -> None:
        actor = await asyncio.to_thread(_found, name)
        if actor is None:
            return
        try:
            async with asyncio.timeout(self._drain_s):
                await actor.drain.remote()
        except (TimeoutError, RayError) as fault:
            _log.warning("fleet.not_drained", actor=name, cause=type(fault).__name__)
        finally:
            ray.kill(actor, no_restart=True)

    async def leave(self) -> None:
        own = await asyncio.to_thread(_found, self._supervisor)
        if own is not None:
            ray.kill(own, no_restart=True)


def _found(name: str) -> Any:
    try:
        return ray.get_actor(name, namespace=NAMESPACE)
    except ValueError:
        return None


def supervisor_name(settings: Settings) -> str:
    return f"{_SUPERVISOR}-{settings.build_id}"


def this_cluster() -> str:
    """A name for the Ray cluster that this process is in; no other has it."""
    return str(ray.get_runtime_context().get_session_name())


def _named_actors() -> frozenset[str]:
    """Asked of the cluster that this process is in; Ray's state API would look for one, and finds too many."""
    named = ray.util.list_named_actors(all_namespaces=True)
    ours = [actor["name"] for actor in named if actor["namespace"] == NAMESPACE]
    return frozenset(name for name in ours if not name.startswith(_SUPERVISOR))


def start_platform_actors(settings: Settings, timeout_s: float = 30.0, *, bulk_import: Sequence[str] = ()) -> None:
    """Start the supervisor and wait until it has started the rest. Needs a Ray that this process is connected to.

    `bulk_import`: arguments of a Python that does one (actors.job_process); without them bulk imports wait.
    """
    options: dict[str, Any] = {**_DETACHED, "name": supervisor_name(settings), "get_if_exists": True}
    actor: Any = SupervisorActor
    supervisor = actor.options(**options).remote(str(TimeOrderedIds().new()), settings.build_id, bulk_import)
    ray.get(supervisor.rounds.remote(), timeout=timeout_s)
