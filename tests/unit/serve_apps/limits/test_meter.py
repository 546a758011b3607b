"""Meters of several replicas over shared buckets: how many pass, how many too many, and what it costs to know."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.rate_limits import LimitName
from serve_apps.limits import meter as metering
from serve_apps.limits.bucket import share
from serve_apps.limits.meter import Meter, Wanted
from tests.unit.serve_apps.limits.shared_rates import SharedRates, Time, wanted


@dataclass
class Replicas:
    time: Time
    rates: SharedRates
    meters: list[Meter]

    async def pass_time(self, seconds: float) -> None:
        """What was admitted is told before, as it is within 50 ms."""
        for _ in range(20):
            await asyncio.sleep(0)
        self.time.now += seconds


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metering, "TELL_S", 0.0)


@asynccontextmanager
async def replicas(number: int) -> AsyncIterator[Replicas]:
    time = Time()
    rates = SharedRates(time)
    async with AsyncExitStack() as stack:
        meters = [Meter(rates, elapsed=time) for _ in range(number)]
        for one in meters:
            await stack.enter_async_context(one.running())
        yield Replicas(time, rates, meters)


async def admitted(meter: Meter, one: Wanted, times: int = 1) -> int:
    verdicts = await asyncio.gather(*(meter.take([one]) for _ in range(times)))
    return sum(verdict.admitted for verdict in verdicts)


async def test_one_replica_admits_the_quota_at_once_and_then_what_flows_back() -> None:
    async with replicas(1) as room:
        one = wanted(10, 60)
        assert await admitted(room.meters[0], one, 50) == 10
        await room.pass_time(12.0)
        assert await admitted(room.meters[0], one, 50) == 2
        await room.pass_time(600.0)
        assert await admitted(room.meters[0], one, 50) == 10


async def test_a_request_fits_after_retry_after_and_not_a_whole_second_before() -> None:
    async with replicas(1) as room:
        one = wanted(2, 9)
        assert await admitted(room.meters[0], one, 2) == 2
        await room.pass_time(0.25)
        refused = await room.meters[0].take([one])
        assert refused.wait_s == pytest.approx(4.25)
        assert refused.retry_after_s == 5
        await room.pass_time(refused.retry_after_s - 1)
        assert not (await room.meters[0].take([one])).admitted
        await room.pass_time(1)
        assert (await room.meters[0].take([one])).admitted


async def test_a_request_takes_from_all_its_limits_or_from_none() -> None:
    async with replicas(1) as room:
        wide, narrow = wanted(100, 60, b"wide"), wanted(1, 60, b"narrow", LimitName.KEY_IMPORTS)
        assert (await room.meters[0].take([wide, narrow])).admitted
        refused = await room.meters[0].take([wide, narrow])
        assert (refused.admitted, refused.name) == (False, LimitName.KEY_IMPORTS)
        assert room.meters[0].peek(wide).left == 99


async def test_what_one_replica_admits_the_others_know() -> None:
    async with replicas(2) as room:
        one = wanted(100, 3_600)
        first, second = room.meters
        assert await admitted(first, one, 95) == 95
        await room.pass_time(0)
        assert await admitted(second, one, 95) <= 5 + share(one.quota)
        await room.pass_time(0)
        assert await admitted(first, one, 95) <= share(one.quota)
        await room.pass_time(0)
        assert [await admitted(meter, one, 95) for meter in room.meters] == [0, 0]


async def test_many_requests_cost_few_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metering, "TELL_S", 0.05)
    async with replicas(1) as room:
        callers = [wanted(1_000, 60, bytes([caller])) for caller in range(100)]
        for _ in range(20):
            for one in callers:
                assert await admitted(room.meters[0], one) == 1
        assert room.rates.asked <= 2  # of 2,000 requests


async def test_who_is_refused_again_and_again_costs_one_question_a_second() -> None:
    async with replicas(1) as room:
        one = wanted(1, 3_600)
        assert await admitted(room.meters[0], one) == 1
        for _ in range(10):
            before = room.rates.asked
            assert await admitted(room.meters[0], one, 200) == 0
            assert room.rates.asked - before <= 2
            await room.pass_time(metering.FRESH_S)


async def test_while_the_database_is_away_each_replica_limits_on_its_own() -> None:
    async with replicas(2) as room:
        room.rates.away = True
        one = wanted(20, 60)
        assert await admitted(room.meters[0], one, 100) == 20
        assert await admitted(room.meters[1], one, 100) == 20
        await room.pass_time(30.0)
        assert await admitted(room.meters[0], one, 100) == 10
        room.rates.away = False
        await room.pass_time(120.0)
        assert await admitted(room.meters[0], one, 100) == 20
        assert await admitted(room.meters[1], one, 100) <= share(one.quota)


async def test_an_answer_that_makes_no_sense_stops_no_request() -> None:
    """Whoever waits for the others waits for one task: were it to end, requests would wait for ever."""
    async with replicas(1) as alone:
        one, (meter,) = wanted(10, 60), alone.meters
        alone.rates.forgets = True
        async with asyncio.timeout(5):
            assert await admitted(meter, one, 5) == 5
            alone.rates.forgets = False
            await alone.pass_time(600.0)
            assert await admitted(meter, one, 20) == 10


async def test_what_is_given_back_counts_for_nobody() -> None:
    async with replicas(1) as room:
        one = wanted(2, 3_600)
        for _ in range(20):
            assert (await room.meters[0].take([one])).admitted
            room.meters[0].give_back(one)
        room.meters[0].charge(one)
        room.meters[0].charge(one)
        assert await admitted(room.meters[0], one) == 0


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    quota=st.tuples(st.integers(1, 40), st.integers(1, 30)),
    visits=st.lists(
        st.tuples(st.floats(0, 20, allow_nan=False), st.integers(0, 2), st.integers(1, 60)), min_size=1, max_size=25
    ),
)
def test_three_replicas_never_admit_more_than_the_bound_nor_refuse_what_fits(
    quota: tuple[int, int], visits: list[tuple[float, int, int]]
) -> None:
    """Any requests at any times: see the bounds in serve_apps.limits.meter."""
    one = wanted(*quota)
    passed: list[float] = []

    async def live() -> None:
        async with replicas(3) as room:
            for pause, replica, number in visits:
                await room.pass_time(pause)
                verdicts = await asyncio.gather(*(room.meters[replica].take([one]) for _ in range(number)))
                for verdict in verdicts:
                    if verdict.admitted:
                        passed.append(room.time.now)
                    else:
                        assert not fits(passed, room.time.now)

    def fits(before: list[float], now: float) -> bool:
        full_at = 0.0
        for at in before:
            full_at = max(full_at, at) + one.quota.interval_s
        return full_at - now + one.quota.interval_s <= one.quota.seconds - 1e-3

    asyncio.run(live())
    for first in range(len(passed)):
        for last in range(first, len(passed)):
            most = one.quota.requests + (passed[last] - passed[first]) / one.quota.interval_s + 3 * share(one.quota)
            assert last - first + 1 <= most + 1e-6
