"""The platform's own SessionHost actor, with faults around its ports. Only tests know of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psutil
import ray

from actors.classes import NAMESPACE, RayFleet, SessionHostActor
from models.tenants import SessionScope
from tests.faults.boundaries import Action, Boundary, Faults
from tests.faults.host import EmbedderTwin, PlannerTwin, armed, counting

_COUNTER = "PLANVAULT_TEST_COUNTER"
_SessionHost: Any = SessionHostActor.__ray_metadata__.modified_class  # type: ignore[attr-defined]


class FaultySessionHost(_SessionHost):  # type: ignore[misc]
    """What Ray restarts is unarmed: a fault strikes once."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        port = int(os.environ[_COUNTER])
        self._faults = Faults(lambda news: None, lambda op, case: counting(port, op, case))
        # Before its first task runs: __init__ waits for nothing.
        self._host._around = self._faults.around()
        self._host._embedder = EmbedderTwin()
        self._host._planner = PlannerTwin()

    async def arm(self, session: str, order: dict[str, Any]) -> None:
        self._faults.watches[session] = armed(order)


def faulty_kind(environment: Mapping[str, str], counter: int) -> Any:
    """The actor class, its processes with this environment."""
    variables = {**environment, _COUNTER: str(counter)}
    return ray.remote(runtime_env={"env_vars": variables})(FaultySessionHost)


@dataclass
class RayHost:
    """One life of the actor: until its process is killed."""

    name: str
    actor: Any
    pid: int
    writer: None = None
    news: list[dict[str, Any]] = field(default_factory=list)

    @property
    def dead(self) -> bool:
        return not psutil.pid_exists(self.pid)

    async def arm(self, scope: SessionScope, case: str, at: Boundary | None, action: Action) -> None:
        where = None if at is None else {"append": at.append, "phase": at.phase.value, "effect": at.effect}
        order = {"case": case, "at": where, "action": action.value}
        await asyncio.wait_for(self.actor.arm.remote(str(scope.session_id), order), 30)


async def living(fleet: RayFleet, name: str, patience_s: float = 60.0) -> RayHost:
    """The actor in the life that it has now; Ray may be restarting it."""
    if name not in await fleet.running():
        await fleet.start(name, "SessionHost")
    async with asyncio.timeout(patience_s):
        while True:
            try:
                actor = ray.get_actor(name, namespace=NAMESPACE)
                return RayHost(name, actor, await actor.pid.remote())
            except (ValueError, ray.exceptions.RayError):
                await asyncio.sleep(0.05)  # not yet registered, or in the middle of its restart
