"""Desired against real, one round at a time."""

from dataclasses import dataclass, field

from actors.supervisor import Desired, Supervisor


@dataclass
class FakeFleet:
    alive: set[str] = field(default_factory=set)
    started: list[tuple[str, str]] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)

    async def running(self) -> frozenset[str]:
        return frozenset(self.alive)

    async def start(self, name: str, kind: str) -> None:
        self.alive.add(name)
        self.started.append((name, kind))

    async def retire(self, name: str) -> None:
        self.alive.discard(name)
        self.retired.append(name)


WANTED = Desired({"host-0-v2": "SessionHost", "worker-v2": "CatalogWorker"})


async def test_what_is_missing_is_started() -> None:
    fleet = FakeFleet()
    await Supervisor(fleet, WANTED).reconcile()
    assert fleet.started == [("host-0-v2", "SessionHost"), ("worker-v2", "CatalogWorker")]


async def test_a_second_round_changes_nothing() -> None:
    fleet = FakeFleet()
    supervisor = Supervisor(fleet, WANTED)
    await supervisor.reconcile()
    await supervisor.reconcile()
    assert len(fleet.started) == 2
    assert fleet.retired == []


async def test_an_older_build_s_hosts_are_retired_only_after_the_new_ones_were_started() -> None:
    fleet = FakeFleet(alive={"host-0-v1"})
    order: list[str] = []
    start, retire = fleet.start, fleet.retire

    async def started(name: str, kind: str) -> None:
        order.append(name)
        await start(name, kind)

    async def retired(name: str) -> None:
        order.append(name)
        await retire(name)

    fleet.start, fleet.retire = started, retired  # type: ignore[method-assign]
    await Supervisor(fleet, WANTED).reconcile()
    assert order == ["host-0-v2", "worker-v2", "host-0-v1"]


async def test_an_actor_that_died_is_started_again() -> None:
    fleet = FakeFleet()
    supervisor = Supervisor(fleet, WANTED)
    await supervisor.reconcile()
    fleet.alive.remove("host-0-v2")
    await supervisor.reconcile()
    assert fleet.started[-1] == ("host-0-v2", "SessionHost")
