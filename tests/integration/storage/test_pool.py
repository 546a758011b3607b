"""What a connection brings along from its last use."""

import pytest

from planvault.storage.pool import open_pool, transaction


async def test_a_connection_goes_back_without_another_round_trip(database_url: str) -> None:
    """Its own reset would be four statements behind every query; what they would undo tells that they did not run."""
    pool = await open_pool(database_url, name="test", maximum=1)
    await pool.execute("SELECT set_config('planvault.witness', 'still here', false)")
    assert await pool.fetchval("SELECT current_setting('planvault.witness', true)") == "still here"
    await pool.close()


async def test_what_a_transaction_set_ends_with_it_however_it_ends(database_url: str) -> None:
    pool = await open_pool(database_url, name="test", maximum=1)

    async def breaks_off() -> None:
        async with transaction(pool) as connection:
            await connection.execute("SELECT set_config('planvault.scope', 'one tenant''s', true)")
            await connection.execute("SELECT pg_advisory_xact_lock(7)")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await breaks_off()
    async with pool.acquire() as connection:
        await connection.execute("BEGIN")  # somebody forgets to end it
        await connection.execute("SELECT set_config('planvault.scope', 'one tenant''s', true)")
    assert not await pool.fetchval("SELECT current_setting('planvault.scope', true)")
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    assert await pool.fetchval(held) == 0
    await pool.close()
