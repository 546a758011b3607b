"""What the supervisor sees of actors, and does to them, on a real Ray."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import ray

from actors import classes
from actors.classes import NAMESPACE, RayFleet
from actors.supervisor import Desired, Supervisor
from tests.integration.runtime.harness import eventually
from tests.unit.actors.test_supervisor import FakeDuty

pytestmark = pytest.mark.ray


@ray.remote
class Idler:
    """Stands in for an actor of the platform: it has a name, and can be drained."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._drained = False

    async def drain(self) -> None:
        self._drained = True

    async def name(self) -> str:
        return self._name

    async def pid(self) -> int:
        return os.getpid()


@pytest.fixture
def fleet(local_ray: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[RayFleet]:
    monkeypatch.setitem(classes._KINDS, "Idler", Idler)
    yield RayFleet("supervisor-v2", drain_s=5.0)
    for found in ray.util.list_named_actors(all_namespaces=True):
        ray.kill(ray.get_actor(found["name"], namespace=found["namespace"]), no_restart=True)


async def test_a_missing_actor_is_started_detached_under_its_name(fleet: RayFleet) -> None:
    await Supervisor(fleet, Desired({"idler-0-v2": "Idler"}), FakeDuty()).reconcile()
    assert await fleet.running() == {"idler-0-v2"}
    assert await ray.get_actor("idler-0-v2", namespace=NAMESPACE).name.remote() == "idler-0-v2"


async def test_an_older_build_s_actor_is_retired(fleet: RayFleet) -> None:
    await fleet.start("idler-0-v1", "Idler")
    supervisor = Supervisor(fleet, Desired({"idler-0-v2": "Idler"}), FakeDuty())

    async def replaced() -> bool:  # by rounds: a first may find the new actor not serving yet
        await supervisor.reconcile()
        return await fleet.running() == {"idler-0-v2"}

    await eventually(replaced, what="the old actor's end")


async def test_a_killed_actor_is_started_again_by_ray_itself(fleet: RayFleet) -> None:
    await fleet.start("idler-0-v2", "Idler")
    actor: Any = ray.get_actor("idler-0-v2", namespace=NAMESPACE)
    await actor.name.remote()
    ray.kill(actor, no_restart=False)

    async def back() -> bool:
        try:
            return bool(await actor.name.remote() == "idler-0-v2")
        except ray.exceptions.RayActorError:
            return False

    await eventually(back, patience_s=30, what="the restart")


async def test_actors_of_other_namespaces_and_supervisors_are_none_of_the_fleet_s_business(
    fleet: RayFleet,
) -> None:
    idler: Any = Idler
    idler.options(name="idler-elsewhere", namespace="another", lifetime="detached", num_cpus=0).remote("x")
    idler.options(name="supervisor-v2", namespace=NAMESPACE, lifetime="detached", num_cpus=0).remote("y")
    await fleet.start("idler-0-v2", "Idler")
    assert await fleet.running() == {"idler-0-v2"}


async def test_a_supervisor_that_leaves_is_not_started_again(fleet: RayFleet) -> None:
    idler: Any = Idler
    options = {"namespace": NAMESPACE, "lifetime": "detached", "num_cpus": 0, "max_restarts": -1}
    own = idler.options(name="supervisor-v2", **options).remote("y")
    assert await own.name.remote() == "y"
    await fleet.leave()

    def gone() -> bool:
        return "supervisor-v2" not in ray.util.list_named_actors()

    await eventually(gone, what="its end")
    await fleet.leave()  # no error where it has gone


async def test_what_does_not_answer_does_not_serve(fleet: RayFleet) -> None:
    assert not await fleet.serves("idler-0-v2", "Idler")
    await fleet.start("idler-0-v2", "Idler")

    async def serves() -> bool:
        return await fleet.serves("idler-0-v2", "Idler")

    await eventually(serves, patience_s=30, what="its service")
