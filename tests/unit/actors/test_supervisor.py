"""Desired against real, one round at a time."""

import asyncio
from dataclasses import dataclass, field

import pytest

from actors import supervisor as module
from actors.supervisor import Desired, Supervisor
from tests.integration.runtime.harness import eventually


@dataclass
class FakeFleet:
    alive: set[str] = field(default_factory=set)
    started: list[tuple[str, str]] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)
    serving: bool = True
    left: bool = False
    drained: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.drained.set()

    async def running(self) -> frozenset[str]:
        return frozenset(self.alive)

    async def start(self, name: str, kind: str) -> None:
        self.alive.add(name)
        self.started.append((name, kind))

    async def serves(self, name: str, kind: str) -> bool:
        return self.serving

    async def leave(self) -> None:
        self.left = True

    async def retire(self, name: str) -> None:
        await self.drained.wait()
        self.alive.discard(name)
        self.retired.append(name)


@dataclass
class FakeDuty:
    holds: bool = True

    outranked: bool = False

    async def hold(self) -> bool:
        return self.holds

    async def is_outranked(self) -> bool:
        return self.outranked


WANTED = Desired({"host-0-v2": "SessionHost", "worker-v2": "CatalogWorker"})


async def test_what_is_missing_is_started() -> None:
    fleet = FakeFleet()
    await Supervisor(fleet, WANTED, FakeDuty()).reconcile()
    assert fleet.started == [("host-0-v2", "SessionHost"), ("worker-v2", "CatalogWorker")]


async def test_a_second_round_changes_nothing() -> None:
    fleet = FakeFleet()
    supervisor = Supervisor(fleet, WANTED, FakeDuty())
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
    await Supervisor(fleet, WANTED, FakeDuty()).reconcile()
    await eventually(lambda: len(order) == 3, what="the older one's end")
    assert order == ["host-0-v2", "worker-v2", "host-0-v1"]


async def test_an_actor_that_died_is_started_again() -> None:
    fleet = FakeFleet()
    supervisor = Supervisor(fleet, WANTED, FakeDuty())
    await supervisor.reconcile()
    fleet.alive.remove("host-0-v2")
    await supervisor.reconcile()
    assert fleet.started[-1] == ("host-0-v2", "SessionHost")


OLDER = frozenset({"host-0-v1", "worker-v1"})
NEW = frozenset({"host-0-v2", "worker-v2"})


async def test_a_round_does_not_wait_for_an_actor_that_drains() -> None:
    fleet = FakeFleet(alive={*OLDER, *NEW})
    fleet.drained.clear()
    supervisor = Supervisor(fleet, WANTED, FakeDuty())
    await asyncio.wait_for(supervisor.reconcile(), 5)
    fleet.alive.remove("host-0-v2")
    await asyncio.wait_for(supervisor.reconcile(), 5)
    assert fleet.started == [("host-0-v2", "SessionHost")]
    assert fleet.retired == []
    fleet.drained.set()
    await eventually(lambda: sorted(fleet.retired) == sorted(OLDER), what="both ends, one each")


async def test_older_ones_stay_until_those_that_follow_them_serve() -> None:
    fleet = FakeFleet(alive={*OLDER, *NEW}, serving=False)
    supervisor = Supervisor(fleet, WANTED, FakeDuty())
    await supervisor.reconcile()
    assert supervisor._retiring == {}
    fleet.serving = True
    await supervisor.reconcile()
    await eventually(lambda: fleet.alive == NEW, what="the older ones' end")


async def test_waiting_for_those_that_follow_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_S", 4.0)
    fleet = FakeFleet(alive={*OLDER, *NEW}, serving=False)
    supervisor = Supervisor(fleet, WANTED, FakeDuty(), period_s=2.0)
    for _ in range(3):
        await supervisor.reconcile()
    await eventually(lambda: fleet.alive == NEW, what="the older ones' end")


async def test_a_supervisor_whose_duty_is_another_s_touches_nothing() -> None:
    fleet = FakeFleet(alive={*OLDER})
    duty = FakeDuty(holds=False)
    supervisor = Supervisor(fleet, WANTED, duty)
    await supervisor.reconcile()
    assert (fleet.started, fleet.retired, fleet.left) == ([], [], False)
    duty.holds = True
    await supervisor.reconcile()
    assert len(fleet.started) == 2


async def test_an_actor_that_could_not_be_retired_is_taken_up_again() -> None:
    fleet = FakeFleet(alive={*OLDER, *NEW})
    retire, refused = fleet.retire, []

    async def refuses(name: str) -> None:
        if name not in refused:
            refused.append(name)
            raise RuntimeError("the cluster has other things to do")
        await retire(name)

    fleet.retire = refuses  # type: ignore[method-assign]
    supervisor = Supervisor(fleet, WANTED, FakeDuty())
    await supervisor.reconcile()
    await eventually(lambda: len(refused) == 2, what="both refusals")
    await eventually(lambda: all(task.done() for task in supervisor._retiring.values()), what="their end")
    await supervisor.reconcile()
    await eventually(lambda: fleet.alive == NEW, what="the older ones' end")


async def test_a_supervisor_of_an_earlier_deployment_leaves_for_good() -> None:
    fleet = FakeFleet()
    await Supervisor(fleet, WANTED, FakeDuty(holds=False, outranked=True)).reconcile()
    assert fleet.left
    assert fleet.started == []


async def test_a_duty_that_moved_on_during_a_round_spares_what_the_next_one_has_started() -> None:
    fleet = FakeFleet(alive={*OLDER, *NEW})
    duty = FakeDuty()

    async def serves(name: str, kind: str) -> bool:
        duty.holds = False
        return True

    fleet.serves = serves  # type: ignore[method-assign]
    supervisor = Supervisor(fleet, WANTED, duty)
    await supervisor.reconcile()
    assert supervisor._retiring == {}
