"""Duties of which there may be one."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

from planvault.storage.actor_leases import ActorLease, Claimant
from planvault.storage.pool import Pool


@dataclass
class Stopwatch:
    seconds: float = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds


def lease(pool: Pool, name: str, holder: str, rank: str = "1", clock: Stopwatch | None = None) -> ActorLease:
    return ActorLease(pool, name, Claimant(holder, rank), clock or Stopwatch(), lease_s=8.0)


async def expire(pool: Pool, name: str) -> None:
    await pool.execute("UPDATE actor_leases SET expires_at = now() - interval '1 second' WHERE name = $1", name)


async def test_of_many_that_ask_at_once_one_has_the_duty(pool: Pool) -> None:
    claims = [lease(pool, "one", f"holder-{number}") for number in range(16)]
    won = await asyncio.gather(*(claim.hold() for claim in claims))
    assert won.count(True) == 1
    assert [claim.holds for claim in claims] == won
    assert await asyncio.gather(*(claim.hold() for claim in claims)) == won


async def test_a_silent_holder_loses_it_and_hears_of_it(pool: Pool) -> None:
    first, second = lease(pool, "silent", "a"), lease(pool, "silent", "b")
    assert await first.hold()
    assert not await second.hold()
    await expire(pool, "silent")
    assert await second.hold()
    assert not await first.hold()
    assert await pool.fetchval("SELECT epoch FROM actor_leases WHERE name = 'silent'") == 2


async def test_a_later_deployment_takes_over_at_once_and_an_earlier_one_never(pool: Pool) -> None:
    old, new = lease(pool, "deployed", "old", "1"), lease(pool, "deployed", "new", "2")
    assert await old.hold()
    assert await new.hold()
    assert not await old.hold()
    assert not old.holds
    assert await old.is_outranked()
    assert not await new.is_outranked()


async def test_a_holder_believes_in_its_lease_for_less_than_the_database_does(pool: Pool) -> None:
    clock = Stopwatch()
    claim = lease(pool, "margin", "a", clock=clock)
    await claim.hold()
    clock.seconds = 5.9
    assert claim.holds
    clock.seconds = 6.1
    assert not claim.holds


async def test_what_is_given_up_is_free_at_once(pool: Pool) -> None:
    first, second = lease(pool, "given", "a", "2"), lease(pool, "given", "b", "1")
    await first.hold()
    await second.give_up()  # not its own: nothing happens
    assert not await second.hold()
    await first.give_up()
    assert not first.holds
    assert await second.hold()
