"""Which shards a host takes, keeps and gives back."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planvault.ports import ShardLease
from planvault.runtime.ownership import Ownership, share


@given(st.sets(st.text(min_size=1, max_size=5), min_size=1, max_size=8), st.integers(1, 64))
def test_every_shard_has_exactly_one_host(hosts: set[str], shards: int) -> None:
    shares = [share(host, sorted(hosts), shards) for host in hosts]
    assert sorted(shard for owned in shares for shard in owned) == list(range(shards))


@given(st.sets(st.text(min_size=1, max_size=5), min_size=1, max_size=8))
def test_shares_differ_by_one_at_most(hosts: set[str]) -> None:
    sizes = [len(share(host, sorted(hosts), 64)) for host in hosts]
    assert max(sizes) - min(sizes) <= 1


@dataclass
class FakeClock:
    seconds: float = 100.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds


@dataclass
class FakeLeases:
    """One database table, seen by one host."""

    hosts: list[str] = field(default_factory=list)
    mine: dict[int, int] = field(default_factory=dict)
    epochs: dict[int, int] = field(default_factory=dict)
    taken: set[int] = field(default_factory=set)
    released: list[int] = field(default_factory=list)
    unanswered: set[str] = field(default_factory=set)  # statements that happen, but whose answer is lost, once

    async def create_shards(self, count: int) -> None: ...

    async def beat(self, *, draining: bool = False) -> None: ...

    async def live_hosts(self) -> list[str]:
        return self.hosts

    async def acquire(self, shards):  # type: ignore[no-untyped-def]
        won = [shard for shard in shards if shard not in self.taken | self.mine.keys()]
        for shard in won:
            self.mine[shard] = self.epochs[shard] = self.epochs.get(shard, 0) + 1
        self._answer("acquire")
        return [ShardLease(shard, self.mine[shard]) for shard in won]

    async def owned(self) -> list[ShardLease]:
        return [ShardLease(shard, epoch) for shard, epoch in self.mine.items()]

    async def release(self, leases):  # type: ignore[no-untyped-def]
        if "release" in self.unanswered:
            self._answer("release")
        for lease in leases:
            self.released.append(lease.shard)
            del self.mine[lease.shard]

    async def forget(self) -> None: ...

    def _answer(self, statement: str) -> None:
        if statement in self.unanswered:
            self.unanswered.remove(statement)
            raise ConnectionResetError(statement)


@dataclass
class Owner:
    leases: FakeLeases = field(default_factory=FakeLeases)
    clock: FakeClock = field(default_factory=FakeClock)
    dropped: set[int] = field(default_factory=set)
    busy: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.ownership = Ownership(
            "a",
            self.leases,
            self.clock,
            shards=4,
            lease_s=8.0,
            gained=lambda leases: None,
            dropped=self.dropped.update,
            quiet=lambda shard: shard not in self.busy,
        )

    @property
    def owned(self) -> set[int]:
        return set(self.ownership.owned)


async def test_a_lone_host_takes_everything() -> None:
    owner = Owner()
    await owner.ownership.tick()
    assert owner.owned == {0, 1, 2, 3}


async def test_a_second_host_gets_its_half_back_from_the_first() -> None:
    owner = Owner()
    await owner.ownership.tick()
    owner.leases.hosts = ["a", "b"]
    await owner.ownership.tick()
    assert owner.owned == {0, 2}
    assert owner.leases.released == [1, 3]
    assert owner.dropped == {1, 3}


async def test_a_shard_with_a_call_on_the_wire_is_kept_until_its_result_is_in() -> None:
    owner = Owner()
    await owner.ownership.tick()
    owner.leases.hosts = ["a", "b"]
    owner.busy = {1}
    await owner.ownership.tick()
    assert owner.owned == {0, 1, 2}
    assert [shard for shard in range(4) if owner.ownership.leaves(shard)] == [1, 3]
    owner.busy = set()
    await owner.ownership.tick()
    assert owner.owned == {0, 2}


async def test_the_lease_counts_from_before_the_heartbeat_less_a_margin() -> None:
    owner = Owner()
    await owner.ownership.tick()
    owner.clock.seconds += 5.9
    assert owner.ownership.holds
    owner.clock.seconds += 0.2
    assert not owner.ownership.holds


async def test_a_host_that_was_frozen_drops_the_shards_that_were_taken_meanwhile() -> None:
    owner = Owner()
    await owner.ownership.tick()
    owner.clock.seconds += 60
    del owner.leases.mine[2]
    owner.leases.taken = {2}
    owner.leases.mine[3] += 1  # lost and won again under another epoch: what is in memory is stale
    await owner.ownership.tick()
    assert owner.dropped == {2, 3}
    assert 2 not in owner.owned


async def test_shards_won_in_a_statement_whose_answer_was_lost_are_not_orphaned() -> None:
    """Nobody else takes a living host's shards, so it must find out about them itself."""
    owner = Owner()
    owner.leases.unanswered = {"acquire"}
    with pytest.raises(ConnectionResetError):
        await owner.ownership.tick()
    await owner.ownership.tick()
    assert owner.owned == {0, 1, 2, 3}
    assert {lease.epoch for lease in owner.ownership.owned.values()} == {2}


async def test_shards_that_could_not_be_given_back_are_given_back_later() -> None:
    owner = Owner()
    await owner.ownership.tick()
    owner.leases.hosts = ["a", "b"]
    owner.leases.unanswered = {"release"}
    with pytest.raises(ConnectionResetError):
        await owner.ownership.tick()
    await owner.ownership.tick()
    assert owner.owned == set(owner.leases.mine) == {0, 2}


async def test_a_doubt_that_arises_during_a_tick_outlives_it() -> None:
    owner = Owner()
    await owner.ownership.tick()
    beat = owner.leases.beat

    async def beat_and_doubt(*, draining: bool = False) -> None:
        await beat(draining=draining)
        owner.ownership.recheck()

    owner.leases.beat = beat_and_doubt  # type: ignore[method-assign]
    await owner.ownership.tick()
    assert not owner.ownership.holds
    owner.leases.beat = beat  # type: ignore[method-assign]
    del owner.leases.mine[1]
    owner.leases.taken = {1}
    await owner.ownership.tick()
    assert owner.dropped == {1}
    assert owner.ownership.holds


async def test_a_draining_host_gives_everything_back() -> None:
    owner = Owner()
    await owner.ownership.tick()
    owner.ownership.draining = True
    await owner.ownership.tick()
    assert owner.owned == set()
    assert sorted(owner.leases.released) == [0, 1, 2, 3]
