"""The plain classes as Ray actors: names, options, and nothing else.

Detached, restarted without end, never retried by Ray: a call that Ray repeats would be a second effect. A restarted
actor reruns only `__init__` and reads everything else from Postgres. Names carry the build, because `get_if_exists`
across an upgrade returns the old code (design, "On Ray").
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

import ray

from actors.catalog_worker import CatalogWorker
from actors.handles import ServeEmbedder, ServePlanner
from actors.session_host import SessionHost
from actors.supervisor import Desired, Supervisor
from planvault.redact import Redactor
from planvault.settings import Settings
from planvault.telemetry import start_logging

NAMESPACE = "planvault"
_DETACHED = {"namespace": NAMESPACE, "lifetime": "detached", "num_cpus": 0, "max_restarts": -1, "max_task_retries": 0}
_DRAIN_S = 60.0


@ray.remote
class SessionHostActor:
    def __init__(self, name: str) -> None:
        settings, redactor = open_process()
        self._host = SessionHost(name, settings, redactor, ServeEmbedder(), ServePlanner())
        self._host.start()

    async def stats(self) -> dict[str, int]:
        return self._host.stats

    async def pid(self) -> int:
        return os.getpid()

    async def drain(self) -> None:
        await self._host.drain()


@ray.remote
class CatalogWorkerActor:
    def __init__(self, name: str) -> None:
        settings, _ = open_process()
        self._worker = CatalogWorker(settings, ServeEmbedder())
        self._task = asyncio.create_task(self._worker.run())

    async def pid(self) -> int:
        return os.getpid()

    async def drain(self) -> None:
        """Stop; an import under way is taken over by the next worker when its lease runs out."""
        self._task.cancel()


@ray.remote
class SupervisorActor:
    def __init__(self) -> None:
        settings, _ = open_process()
        self._supervisor = Supervisor(RayFleet(), desired(settings))
        self._task = asyncio.create_task(self._supervisor.run())

    async def rounds(self) -> int:
        return self._supervisor.rounds


def open_process() -> tuple[Settings, Redactor]:
    """What every actor's process starts with. Logs and tool calls share the redactor: it knows what calls bind."""
    settings = Settings()
    return settings, start_logging(settings, os.environ)


_KINDS: dict[str, Any] = {"SessionHost": SessionHostActor, "CatalogWorker": CatalogWorkerActor}


def desired(settings: Settings) -> Desired:
    hosts = {f"session-host-{slot}-{settings.build_id}": "SessionHost" for slot in range(settings.session_hosts)}
    return Desired({**hosts, f"catalog-worker-{settings.build_id}": "CatalogWorker"})


class RayFleet:
    """Implements Fleet over the cluster's named actors."""

    async def running(self) -> frozenset[str]:
        return await asyncio.to_thread(_named_actors)

    async def start(self, name: str, kind: str) -> None:
        options: dict[str, Any] = {**_DETACHED, "name": name, "get_if_exists": True, "max_concurrency": 1_000}
        _KINDS[kind].options(**options).remote(name)

    async def retire(self, name: str) -> None:
        actor = ray.get_actor(name, namespace=NAMESPACE)
        try:
            await asyncio.wait_for(actor.drain.remote(), _DRAIN_S)
        finally:
            ray.kill(actor, no_restart=True)


def _named_actors() -> frozenset[str]:
    """Asked of the cluster that this process is in; Ray's state API would look for one, and finds too many."""
    named = ray.util.list_named_actors(all_namespaces=True)
    ours = [actor["name"] for actor in named if actor["namespace"] == NAMESPACE]
    return frozenset(name for name in ours if not name.startswith("supervisor"))


def start_platform_actors(settings: Settings, timeout_s: float = 30.0) -> None:
    """Start the supervisor and wait until it has started the rest. Needs a Ray that this process is connected to."""
    options: dict[str, Any] = {**_DETACHED, "name": f"supervisor-{settings.build_id}", "get_if_exists": True}
    actor: Any = SupervisorActor
    supervisor = actor.options(**options).remote()
    ray.get(supervisor.rounds.remote(), timeout=timeout_s)
