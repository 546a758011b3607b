"""What the event store says of a database that is away, and of payloads that cannot be written."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from models.events import Event, EventType, Visibility
from models.ids import shard_of
from planvault.clock import SystemClock
from planvault.errors import OutcomeUnknown, Unavailable, Unrecordable
from planvault.ports import Append, Head, ShardLease
from planvault.storage.events import PostgresEventStore
from planvault.storage.leases import PostgresLeases
from planvault.storage.pool import Pool
from tests.integration.runtime.harness import LEASE_S, SHARDS, Platform, World, open_platform
from tests.unit.engine.plans import ONE_CALL

HOST = "store-test"


@pytest.fixture
async def platform(pool: Pool, tmp_path: Path) -> Platform:
    platform = await open_platform(pool, tmp_path, World(ONE_CALL))
    await pool.execute("DELETE FROM shard_owner")
    await pool.execute("TRUNCATE data_keys, api_keys")  # the keyset lives as long as its test
    return platform


async def appending(platform: Platform, payload: dict[str, Any]) -> Append:
    leases = PostgresLeases(platform.pool, HOST, "test", LEASE_S)
    await leases.create_shards(SHARDS)
    await leases.beat()
    scope = await platform.session()
    shard = shard_of(scope.session_id, SHARDS)
    [lease] = await leases.acquire([shard])
    event = Event(
        session_id=scope.session_id,
        seq=1,
        type=EventType.RUN_PHASE,
        visibility=Visibility.HISTORY,
        at=datetime(2026, 1, 1, tzinfo=UTC),
        run_id=None,
        payload=payload,
    )
    return Append(scope, lease, (event,))


def store(platform: Platform, pool: Any) -> PostgresEventStore:
    return PostgresEventStore(pool, platform.keyring, HOST)


class Away:
    """A pool whose server does not answer."""

    async def _refuse(self, *_: object) -> None:
        raise ConnectionRefusedError("nobody listens")

    fetch = fetchrow = fetchval = execute = _refuse


async def test_the_head_tells_the_newest_event_and_whose_it_is(platform: Platform) -> None:
    append = await appending(platform, {"a": 1})
    assert await store(platform, platform.pool).head(append.scope) == Head(0, 0)
    assert await store(platform, platform.pool).append([append]) == {append.lease.shard}
    assert await store(platform, platform.pool).head(append.scope) == Head(1, append.lease.epoch)


async def test_reading_from_a_database_that_is_away_can_be_tried_again(platform: Platform) -> None:
    append = await appending(platform, {})
    away = store(platform, Away())
    with pytest.raises(Unavailable):
        await away.head(append.scope)
    with pytest.raises(Unavailable):
        await away.load(append.scope)
    with pytest.raises(Unavailable):
        await away.waiting([append.lease], 10)
    with pytest.raises(Unavailable):
        await away.open_runs([ShardLease(0, 1)], SystemClock().now())
    with pytest.raises(Unavailable):
        await away.due_runs([ShardLease(0, 1)], SystemClock().now(), 10)


async def test_the_outcome_of_an_append_to_a_database_that_is_away_is_unknown(platform: Platform) -> None:
    with pytest.raises(OutcomeUnknown):
        await store(platform, Away()).append([await appending(platform, {})])


@pytest.mark.parametrize("value", ["\ud800", 2**64, {1: 2}], ids=["surrogate", "65 bits", "key that is no text"])
async def test_a_payload_that_is_no_plain_json_is_named_as_such(platform: Platform, value: Any) -> None:
    with pytest.raises(Unrecordable):
        await store(platform, platform.pool).append([await appending(platform, {"value": value})])


async def test_viewers_of_all_shards_of_a_large_platform_are_told(platform: Platform) -> None:
    """4,096 shards are more than one notification holds."""
    await store(platform, platform.pool).announce(range(4_096))
