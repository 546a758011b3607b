"""The contract of the event store, held by each of its implementations."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from models.events import SCHEMA_VERSION
from models.tenants import SessionScope
from planvault.runtime.host import Store
from planvault.storage.events import PostgresEventStore
from planvault.storage.files.event_store import FileEventStore
from planvault.storage.files.folder import EventFolder
from planvault.storage.files.frame import Frame, decode, encode, places
from planvault.storage.pool import Pool
from tests.integration.runtime.harness import Platform, World, open_platform
from tests.integration.storage.event_store_contract import EventStoreContract
from tests.integration.storage.event_store_shop import Shop
from tests.unit.engine.plans import ONE_CALL


@pytest.fixture
async def platform(pool: Pool, tmp_path: Path) -> Platform:
    platform = await open_platform(pool, tmp_path, World(ONE_CALL))
    await pool.execute("DELETE FROM shard_owner")
    await pool.execute("TRUNCATE data_keys, api_keys")  # the keyset lives as long as its test
    return platform


@dataclass
class Rows:
    """Events as rows of the database."""

    pool: Pool

    @contextmanager
    def open(self, pool: Pool, platform: Platform, owner: str) -> Iterator[Store]:
        yield PostgresEventStore(pool, platform.keyring, owner)

    async def damage(self, scope: SessionScope, seq: int) -> None:
        await self.pool.execute(
            "UPDATE events SET payload = set_byte(payload, 40, get_byte(payload, 40) # 1) "
            "WHERE session_id = $1 AND seq = $2",
            scope.session_id,
            seq,
        )

    async def age(self, scope: SessionScope, seq: int) -> None:
        await self.pool.execute(
            "UPDATE events SET schema_version = $3 WHERE session_id = $1 AND seq = $2",
            scope.session_id,
            seq,
            SCHEMA_VERSION + 1,
        )

    def commit_of(self, scope: SessionScope) -> bytes:
        return scope.session_id.bytes  # one statement: the session's id stands in its arguments


@dataclass
class Files:
    """Events in append-only files."""

    folder: EventFolder

    @contextmanager
    def open(self, pool: Pool, platform: Platform, owner: str) -> Iterator[Store]:
        store = FileEventStore(pool, platform.keyring, owner, self.folder)
        try:
            yield store
        finally:
            store.close()

    async def damage(self, scope: SessionScope, seq: int) -> None:
        """Under a right checksum: the disk's own mistakes are its other tests' business."""

        def changed(frame: Frame) -> Frame:
            payload = bytearray(frame.payload)
            payload[40] ^= 1
            return replace(frame, payload=bytes(payload))

        self._rewrite(scope, seq, changed)

    async def age(self, scope: SessionScope, seq: int) -> None:
        self._rewrite(scope, seq, lambda frame: replace(frame, schema_version=SCHEMA_VERSION + 1))

    def _rewrite(self, scope: SessionScope, seq: int, change: Callable[[Frame], Frame]) -> None:
        for path in self.folder.root.glob(f"*/{scope.session_id}/*.events"):
            data = bytearray(path.read_bytes())
            for place in list(places(data)):
                if place.seq == seq:
                    data[place.offset : place.offset + place.size] = encode(change(decode(data, place.offset)))
            path.write_bytes(data)

    def commit_of(self, scope: SessionScope) -> bytes:
        return b"COMMIT"


class TestRows(EventStoreContract):
    @pytest.fixture
    def shop(self, platform: Platform, database_url: str) -> Iterator[Shop]:
        shop = Shop(platform, Rows(platform.pool), database_url)
        yield shop
        shop.close()


class TestFiles(EventStoreContract):
    @pytest.fixture
    def shop(self, platform: Platform, database_url: str, tmp_path: Path) -> Iterator[Shop]:
        folder = EventFolder(tmp_path / "events")
        folder.belongs_to(platform.ids.new())
        shop = Shop(platform, Files(folder), database_url)
        yield shop
        shop.close()
