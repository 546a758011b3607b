"""What every event store must do, whatever it keeps its events in. A store's test module gives it a `Shop`.

The store is asked the way its host asks it; what it wrote is looked for with the reading ends of the product (runs,
inbox, audit), never in its own tables.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from models.commands import CommandKind
from models.events import EventType
from models.ids import BlobId
from models.policies import OrgSettings
from models.runs import RunStatus
from planvault.errors import OutcomeUnknown, PlanVaultError, SchemaTooNew, Unavailable, Unrecordable
from planvault.ports import Head, InboxEntry, RunWake, UnreadableEntry
from planvault.storage.pool import open_pool
from planvault.storage.tenants import Tenants
from tests.faults.proxy import wire_to
from tests.integration.runtime.harness import eventually
from tests.integration.storage.event_store_shop import NOON, Away, Shop, replace_store, same_shard


class EventStoreContract:
    """Inherit, and give a fixture `shop`."""

    # ── what is written is read ──────────────────────────────────────────────────────────────────────────────────────

    async def test_what_was_appended_is_loaded_as_it_was_and_in_order(self, shop: Shop) -> None:
        owner = await shop.owner()
        first = owner.next({"a": 1}, {"b": ["ü", 2**63 - 1, 1.5, None]})
        await owner.append(*(event.payload for event in first.events))
        second = owner.next({"c": True})
        await owner.append({"c": True})
        assert await owner.store.load(owner.scope) == [*first.events, *second.events]

    async def test_a_session_without_events_has_no_head_and_nothing_to_load(self, shop: Shop) -> None:
        owner = await shop.owner()
        assert await owner.store.head(owner.scope) == Head(0, 0)
        assert await owner.store.load(owner.scope) == []

    async def test_the_head_is_the_newest_event_and_the_epoch_it_was_written_under(self, shop: Shop) -> None:
        owner = await shop.owner()
        await owner.append({}, {}, {})
        assert await owner.store.head(owner.scope) == Head(3, owner.lease.epoch)
        after = await shop.owner(owner.scope)
        assert await after.store.head(owner.scope) == Head(3, owner.lease.epoch)
        after.seq = 3
        await after.append({})
        assert await owner.store.head(owner.scope) == Head(4, after.lease.epoch)

    async def test_a_load_begins_at_the_newest_snapshot(self, shop: Shop) -> None:
        owner = await shop.owner()
        for number in range(2):
            await owner.append({"run": number}, {})
            await owner.append({"snapshot": number}, type_=EventType.SNAPSHOT)
        await owner.append({"last": True})
        assert await owner.payloads() == [{"snapshot": 1}, {"last": True}]

    async def test_the_next_owner_loads_what_all_before_it_wrote(self, shop: Shop) -> None:
        first = await shop.owner()
        await first.append({"by": 1})
        second = await shop.owner(first.scope)
        second.seq = 1
        await second.append({"by": 2})
        third = await shop.owner(first.scope)
        assert await third.payloads() == [{"by": 1}, {"by": 2}]

    async def test_a_batch_is_written_for_each_of_its_sessions(self, shop: Shop) -> None:
        owner = await shop.owner()
        others = [await shop.owner() for _ in range(5)]
        batch = [owner.next({"n": 0}), *(replace_store(other, owner).next({"n": 1}) for other in others)]
        for other in others:  # the batch is one host's: it holds every shard
            other.lease = await shop.take(other.scope, owner.name)
        owner.lease = await shop.take(owner.scope, owner.name)
        held = {found.lease.shard: found.lease for found in (*others, owner)}
        batch = [replace(item, lease=held[item.lease.shard]) for item in batch]
        assert await owner.store.append(batch) == held.keys()
        assert [len(await owner.store.load(item.scope)) for item in batch] == [1] * 6

    async def test_another_organisation_s_scope_reads_nothing(self, shop: Shop) -> None:
        owner = await shop.owner()
        await owner.append({"secret": 1})
        other = await Tenants(shop.platform.pool, shop.platform.ids).create_organization("Other", OrgSettings())
        foreign = owner.scope.model_copy(update={"org_id": other.id})
        assert await owner.store.load(foreign) == []
        assert await owner.store.head(foreign) == Head(0, 0)

    # ── all or nothing ───────────────────────────────────────────────────────────────────────────────────────────────

    async def test_commands_runs_and_audit_rows_land_with_their_events(self, shop: Shop) -> None:
        owner = await shop.owner()
        command, run, audit = await shop.command(owner.scope), shop.run(), shop.audit(owner.scope)
        await owner.append({}, consumed=(command.id,), runs=(run,), audits=(audit,))
        assert await shop.waiting(owner.scope) == []
        [found] = await shop.platform.runs(owner.scope)
        assert (found.id, found.status, found.pending) == (run.run_id, run.status, run.pending)
        assert [row.id for row in await shop.audited(owner.scope)] == [audit.id]

    async def test_an_append_that_is_refused_leaves_nothing_behind(self, shop: Shop) -> None:
        """Refused for its events' numbers: another append of them has landed."""
        owner = await shop.owner()
        await owner.append({"kept": True})
        owner.seq = 0
        command = await shop.command(owner.scope)
        more: dict[str, Any] = {
            "consumed": (command.id,),
            "runs": (shop.run(),),
            "audits": (shop.audit(owner.scope),),
        }
        with pytest.raises(Exception, match=r".+"):
            await owner.store.append([owner.next({"kept": False}, **more)])
        assert await owner.payloads() == [{"kept": True}]
        assert await shop.waiting(owner.scope) == [InboxEntry(owner.scope, command)]
        assert await shop.platform.runs(owner.scope) == []
        assert await shop.audited(owner.scope) == []

    async def test_one_refused_append_refuses_its_batch_whole_so_that_it_can_be_told_apart(self, shop: Shop) -> None:
        owner = await shop.owner()
        await owner.append({})
        owner.seq = 0
        other = replace_store(await shop.owner(await same_shard(shop, owner.scope)), owner)
        owner.lease = other.lease = await shop.take(owner.scope, owner.name)
        with pytest.raises(Exception, match=r".+"):
            await owner.store.append([other.next({"n": 1}), owner.next({"n": 2})])
        assert await owner.store.head(other.scope) == Head(0, 0)
        assert await owner.store.append([other.next({"n": 1})]) == {other.lease.shard}

    @pytest.mark.parametrize("value", ["\ud800", 2**64, {1: 2}], ids=["surrogate", "65 bits", "key that is no text"])
    async def test_a_payload_that_is_no_plain_json_is_named_and_the_session_goes_on(
        self, shop: Shop, value: Any
    ) -> None:
        owner = await shop.owner()
        with pytest.raises(Unrecordable):
            await owner.store.append([owner.next({"value": value})])
        await owner.append({"good": True})
        assert await owner.payloads() == [{"good": True}]

    # ── fencing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def test_an_owner_of_an_older_epoch_writes_nothing(self, shop: Shop) -> None:
        zombie = await shop.owner()
        await zombie.append({"by": "first"})
        command = await shop.command(zombie.scope)
        heir = await shop.owner(zombie.scope)
        more: dict[str, Any] = {
            "consumed": (command.id,),
            "runs": (shop.run(),),
            "audits": (shop.audit(heir.scope),),
        }
        assert await zombie.store.append([zombie.next({"by": "zombie"}, **more)]) == frozenset()
        assert await heir.payloads() == [{"by": "first"}]
        assert len(await shop.waiting(heir.scope)) == 1
        assert await shop.platform.runs(heir.scope) == []
        assert await shop.audited(heir.scope) == []
        heir.seq = 1
        await heir.append({"by": "heir"})
        assert await heir.payloads() == [{"by": "first"}, {"by": "heir"}]

    async def test_a_guessed_epoch_is_of_no_use_to_another_host(self, shop: Shop) -> None:
        owner = await shop.owner()
        thief = replace_store(owner, replace(owner, store=shop.store("thief")))
        assert await thief.store.append([thief.next({})]) == frozenset()
        assert await owner.store.head(owner.scope) == Head(0, 0)

    async def test_a_shard_that_was_lost_is_dropped_alone(self, shop: Shop) -> None:
        owner = await shop.owner()
        lost = replace_store(await shop.owner(await shop.session_of_another_shard(owner.scope)), owner)
        assert await owner.store.append([lost.next({}), owner.next({"kept": True})]) == {owner.lease.shard}
        assert await owner.store.head(lost.scope) == Head(0, 0)
        assert await owner.payloads() == [{"kept": True}]

    async def test_no_append_lands_behind_a_takeover_however_they_race(self, shop: Shop) -> None:
        """What the new owner reads on taking over is all that the old one will ever have written."""
        owner = await shop.owner()
        refused = 0
        for _ in range(40):
            heir_name = f"host-{shop.platform.ids.new()}"
            append = asyncio.create_task(owner.store.append([owner.next({})]))
            lease = await shop.take(owner.scope, heir_name)
            store = shop.store(heir_name)
            seen = await store.head(owner.scope)
            landed = await append
            refused += not landed
            assert await store.head(owner.scope) == seen, "an append landed behind the takeover"
            assert seen.seq == owner.seq + len(landed)
            owner = replace(owner, store=store, name=heir_name, lease=lease, seq=seen.seq)
        assert len(await owner.store.load(owner.scope)) == 40 - refused

    # ── doubt ────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def test_an_append_whose_answer_was_lost_is_there_and_cannot_be_written_twice(self, shop: Shop) -> None:
        async with wire_to(shop.url) as wire:
            pool = await open_pool(wire.url, name="wired")
            owner = await shop.owner(pool=pool)
            command = await shop.command(owner.scope)
            append = owner.next({"n": 1}, {"n": 2}, consumed=(command.id,), runs=(shop.run(),))
            cut = wire.cut(shop.medium.commit_of(owner.scope), delivered=True)
            with pytest.raises(OutcomeUnknown):
                await owner.store.append([append])
            assert cut.struck.is_set()
            assert await owner.store.head(owner.scope) == Head(2, owner.lease.epoch)
            with pytest.raises(Exception, match=r".+"):
                await owner.store.append([append])
            assert await owner.payloads() == [{"n": 1}, {"n": 2}]
            assert await shop.waiting(owner.scope) == []
            owner.seq = 2
            await owner.append({"n": 3})
            assert await owner.payloads() == [{"n": 1}, {"n": 2}, {"n": 3}]
            pool.terminate()

    async def test_an_append_that_was_lost_on_its_way_is_not_there_and_can_be_written(self, shop: Shop) -> None:
        async with wire_to(shop.url) as wire:
            pool = await open_pool(wire.url, name="wired")
            owner = await shop.owner(pool=pool)
            await owner.append({"n": 1})
            command = await shop.command(owner.scope)
            append = owner.next({"n": 2}, consumed=(command.id,), runs=(shop.run(),))
            wire.cut(shop.medium.commit_of(owner.scope), delivered=False)
            with pytest.raises(OutcomeUnknown):
                await owner.store.append([append])
            assert await owner.store.head(owner.scope) == Head(1, owner.lease.epoch)
            assert len(await shop.waiting(owner.scope)) == 1
            assert await owner.store.append([append]) == {owner.lease.shard}
            assert await owner.payloads() == [{"n": 1}, {"n": 2}]
            assert await shop.waiting(owner.scope) == []
            pool.terminate()

    async def test_the_outcome_of_an_append_to_a_database_that_is_away_is_unknown(self, shop: Shop) -> None:
        owner = await shop.owner()
        with pytest.raises(OutcomeUnknown):
            await shop.store(owner.name, Away()).append([owner.next({})])

    async def test_reading_from_a_database_that_is_away_can_be_tried_again(self, shop: Shop) -> None:
        owner = await shop.owner()
        away = shop.store("away", Away())
        reads: list[Callable[[], Any]] = [
            lambda: away.head(owner.scope),
            lambda: away.load(owner.scope),
            lambda: away.waiting([owner.lease], 10),
            lambda: away.open_runs([owner.lease], NOON),
            lambda: away.due_runs([owner.lease], NOON, 10),
        ]
        for read in reads:
            with pytest.raises(Unavailable):
                await read()

    # ── what cannot be read ──────────────────────────────────────────────────────────────────────────────────────────

    async def test_an_event_that_was_changed_does_not_open_and_hurts_its_own_session_only(self, shop: Shop) -> None:
        owner = await shop.owner()
        await owner.append({"n": 1}, {"n": 2})
        other = await shop.owner(await shop.session_of_another_shard(owner.scope))
        await other.append({"n": 3})
        await shop.medium.damage(owner.scope, 2)
        with pytest.raises(PlanVaultError):
            await owner.store.load(owner.scope)
        assert await other.payloads() == [{"n": 3}]

    async def test_an_event_of_a_newer_build_is_not_read(self, shop: Shop) -> None:
        owner = await shop.owner()
        await owner.append({"n": 1}, {"n": 2})
        await shop.medium.age(owner.scope, 2)
        with pytest.raises(SchemaTooNew):
            await owner.store.load(owner.scope)

    # ── the inbox ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def test_commands_wait_in_order_until_an_append_consumes_them(self, shop: Shop) -> None:
        owner = await shop.owner()
        for text in "abc":
            await shop.platform.says(owner.scope, text)
        entries = [entry.command for entry in await shop.waiting(owner.scope) if isinstance(entry, InboxEntry)]
        assert [command.payload.text for command in entries if command.kind is CommandKind.MESSAGE] == ["a", "b", "c"]
        await owner.append({}, consumed=(entries[0].id,))
        left = await owner.store.waiting([owner.lease], 100, known=[entries[1].id])
        assert [entry for entry in left if entry.scope == owner.scope] == [InboxEntry(owner.scope, entries[2])]
        avoiding = await owner.store.waiting([owner.lease], 100, avoid=[owner.scope.session_id])
        assert owner.scope not in [entry.scope for entry in avoiding]

    async def test_a_command_that_cannot_be_read_keeps_its_place(self, shop: Shop) -> None:
        owner = await shop.owner()
        await shop.platform.says(owner.scope)
        await shop.platform.pool.execute(
            "UPDATE commands SET kind = 'from_the_future' WHERE session_id = $1", owner.scope.session_id
        )
        await shop.platform.says(owner.scope)
        unreadable, readable = await shop.waiting(owner.scope)
        assert isinstance(unreadable, UnreadableEntry)
        assert isinstance(readable, InboxEntry)

    async def test_runs_that_go_on_and_runs_that_wait_for_a_time_are_told_apart(self, shop: Shop) -> None:
        owner = await shop.owner()
        await owner.append({}, runs=(shop.run(RunStatus.AWAITING_SLOTS, NOON),))
        before, after = NOON - timedelta(seconds=1), NOON + timedelta(seconds=1)
        assert owner.scope not in await owner.store.open_runs([owner.lease], before)
        assert owner.scope not in await owner.store.due_runs([owner.lease], before, 100)
        assert owner.scope in await owner.store.open_runs([owner.lease], after)
        assert owner.scope in await owner.store.due_runs([owner.lease], after, 100)
        await owner.append({}, runs=(shop.run(RunStatus.EXECUTING),))
        assert owner.scope in await owner.store.open_runs([owner.lease], before)

    async def test_what_a_batch_says_of_runs_and_contents_is_written_whatever_else_it_says(self, shop: Shop) -> None:
        """Each append asks for the tables that it has rows for: one for another's would drop the rows."""
        owner = await shop.owner()
        run, pool = shop.run(RunStatus.AWAITING_SLOTS, NOON), shop.platform.pool
        await owner.append({}, runs=(run,))
        later = NOON + timedelta(hours=1)
        await owner.append({}, wakes=(RunWake(run.run_id, later),))
        assert await pool.fetchval("SELECT wake_at FROM runs WHERE id = $1", run.run_id) == later
        blob = shop.platform.ids.new()
        await pool.execute(
            "INSERT INTO blobs (id, org_id, project_id, session_id, run_id, purpose) "
            "VALUES ($1, $2, $3, $4, $5, 'result')",
            *(blob, owner.scope.org_id, owner.scope.project_id, owner.scope.session_id, run.run_id),
        )
        await owner.append({}, blobs=(BlobId(blob),))
        assert await pool.fetchval("SELECT kept FROM blobs WHERE id = $1", blob)

    async def test_viewers_of_all_shards_of_a_large_platform_are_told(self, shop: Shop) -> None:
        """4,096 shards are more than one notification holds."""
        heard: set[int] = set()
        connection = await asyncpg.connect(shop.url)
        await connection.add_listener("planvault_history", lambda *note: heard.update(map(int, note[3].split(","))))
        await shop.store("host").announce(range(4_096))
        await eventually(lambda: heard == set(range(4_096)), what="every shard's note")
        await connection.close()
