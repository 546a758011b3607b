"""The task that learns, as its actor runs it: its own pools, its own keys, until it is cancelled."""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from actors.lasting import keep_going
from actors.learner import Learner
from planvault.crypto.kek import LocalKeyWrapper
from planvault.settings import Settings
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import Pool
from tests.integration.retrieval.scenarios.conftest import IDS, World, make_world

pytestmark = pytest.mark.postgres


async def test_it_learns_what_ended_and_waits_while_nobody_embeds(
    pool: Pool, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.learner.keep_going", partial(keep_going, pause_s=0.05))
    settings = Settings(database_url=database_url, data_dir=tmp_path)
    world: World = await make_world(pool)
    world.keyring = PostgresKeyring(pool, LocalKeyWrapper.at(settings.keyset), IDS)
    # The world's first key was wrapped by the tests' own KEK; this one's is the platform's.
    await pool.execute("DELETE FROM data_keys WHERE org_id = $1", world.scope.org_id)
    await world.run("show my orders", "list_orders")
    world.embedder.away = True
    task = asyncio.create_task(Learner(settings, world.embedder).run())
    try:
        await asyncio.wait_for(_asked(world), 10)
        assert await world.scenarios() == []
        world.embedder.away = False
        async with asyncio.timeout(10):
            while not await world.scenarios():
                await asyncio.sleep(0.02)
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _asked(world: World) -> None:
    while not world.embedder.asked:
        await asyncio.sleep(0.02)
