"""Takes rotations on, state by state. Whoever does it may be killed anywhere: the next claim goes on from the rows.

Every state is entered by one transaction, and what belongs to it can be done twice. Two workers that both believe to
have the claim disturb each other's progress figures at most: keys are made once (unique versions), values are swapped
only where they still are what was read, and a key is destroyed only where a walk that began after nobody could seal
with it any more has found nothing of it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any
from uuid import UUID

import asyncpg
import structlog

from models.ids import OrgId
from models.rotations import RotationState
from models.tenants import OrgScope
from planvault.crypto.committing import KEY_BYTES
from planvault.crypto.envelope import read_header
from planvault.crypto.kek import KeyPlace, WrappedKey
from planvault.crypto.keyring import ORG, REFRESH_AFTER_S, USER, DataKeyRow
from planvault.crypto.providers import KeyProviders
from planvault.crypto.subjects import wrapped_seal
from planvault.errors import PlanVaultError
from planvault.ports import Ids
from planvault.storage.files.folder import EventFolder
from planvault.storage.files.reencryption import FileReencryption
from planvault.storage.keys import PostgresKeyring, insert_key
from planvault.storage.pace import Pace
from planvault.storage.pool import Pool, is_away
from planvault.storage.queries import load
from planvault.storage.reencryption import Position, Reencryption, Step, summed
from planvault.storage.tenancy import within

_SQL = load("planvault.storage", "sql/rotation.sql")
_KEYS = load("planvault.storage", "sql/keys.sql")
_log = structlog.get_logger(__name__)

SPREAD_S = REFRESH_AFTER_S + 15.0
"""How long new keys are read by every process before one seals with them, and old ones may seal after: longer than a
process goes without looking, and than a statement of its own takes."""
_CLAIM_S = 60.0
_WAIT_S = 1.0  # after a fault that may pass
_USERS_AT_ONCE = 200
_REST = 1.0  # times what a page took, and more while people are at work: they have the database before this
_NOTE_S = 0.5  # between two notes of where a walk stands
_READ_S = 5.0  # between a walk that swapped something and the next: who read an old value before has opened it then
_SLICE_S = 20.0  # of one rotation, before another organisation's may have its turn

S = RotationState


@dataclass(frozen=True, slots=True)
class _Claimed:
    id: UUID
    org_id: OrgId
    generation: int
    state: RotationState
    attempts: int
    position: dict[str, Any]
    found_in_pass: int
    unreadable: int
    passes: int
    in_state_s: float

    @property
    def scope(self) -> OrgScope:
        return OrgScope(org_id=self.org_id)

    @property
    def place(self) -> tuple[OrgId, UUID, int]:
        return self.org_id, self.id, self.attempts


class _Overtaken(Exception):
    """Another worker has the rotation now."""


class RotationSteps:
    """`pool`: of the platform; what is done for one organisation is done as that organisation. `folder`: where session
    events are files; a worker without it leaves them, and their keys, as they are."""

    def __init__(
        self,
        pool: Pool,
        providers: KeyProviders,
        ids: Ids,
        *,
        folder: EventFolder | None = None,
        spread_s: float = SPREAD_S,
        rest: float = _REST,
        elapsed: Callable[[], float] = monotonic,
    ) -> None:
        self._pool = pool
        self._providers = providers
        self._ids = ids
        self._folder = folder
        self._spread_s = spread_s
        self._read_s = min(_READ_S, spread_s)
        self._pace = Pace(rest)
        self._elapsed = elapsed
        self._keyring = PostgresKeyring(pool, providers, ids)

    async def once(self) -> bool:
        """One rotation as far as it goes now. False: there is none to be taken on."""
        row = await self._pool.fetchrow(_SQL["claim"], _CLAIM_S)
        if row is None:
            return False
        claimed = _Claimed(**{**dict(row), "state": S(row["state"])})
        try:
            wait_s = await self._advance(claimed)
        except _Overtaken:
            return True
        except Exception as fault:
            if not is_away(fault) and not isinstance(fault, (PlanVaultError, asyncpg.PostgresError)):
                raise
            _log.warning("rotation.waits", org_id=str(claimed.org_id), state=claimed.state, cause=repr(fault))
            await self._release(claimed, _WAIT_S, f"{type(fault).__name__}: {fault}"[:500])
            return True
        await self._release(claimed, wait_s, None)
        return True

    async def _advance(self, claimed: _Claimed) -> float:
        """Seconds until it is worth looking again."""
        match claimed.state:
            case S.PREPARING:
                await self._make_org_key(claimed)
                await self._enter(claimed, S.PENDING)
            case S.PENDING | S.SPREADING:
                left = self._spread_s - claimed.in_state_s
                if left > 0:
                    return left
                await self._activate(claimed)
            case S.RENEWING:
                made = await self._make_user_keys(claimed)
                if made < _USERS_AT_ONCE:
                    await self._enter(claimed, S.SPREADING if await self._has_pending(claimed) else S.DRAINING)
            case S.DRAINING:
                left = self._spread_s - claimed.in_state_s
                if left > 0:
                    return left
                await self._retire(claimed)
                await self._enter(claimed, S.ENCRYPTING)
            case S.ENCRYPTING:
                return await self._encrypt(claimed)
            case S.COMPLETED:
                raise AssertionError("what is completed is not claimed")
        return 0.0

    async def _make_org_key(self, claimed: _Claimed) -> None:
        """Wrapped before the transaction: a provider that is slow holds nobody's rows."""
        async with within(self._pool, claimed.scope) as connection:
            held = await connection.fetchrow(_KEYS["hold"], claimed.org_id)
            known = await connection.fetchrow(_SQL["makes_org_key"], claimed.org_id, claimed.generation)
        if held is None or known is None:
            raise _Overtaken  # the organisation is gone
        if known["is_made"]:
            return
        provider = held["dek_wrap"]
        place = KeyPlace(claimed.org_id, ORG, self._ids.new(), known["version"])
        wrapped = await self._providers.wrap(provider, os.urandom(KEY_BYTES), place)
        async with within(self._pool, claimed.scope) as connection:
            held = await connection.fetchrow(_KEYS["hold"], claimed.org_id)
            if held is None or held["dek_wrap"] != provider:
                raise _Overtaken  # the keys moved to another provider meanwhile; the next look does it there
            await insert_key(connection, DataKeyRow(place, wrapped, "pending", claimed.generation))

    async def _make_user_keys(self, claimed: _Claimed) -> int:
        """How many users got one. Sealed with the organisation's new key, which seals by now."""
        self._keyring.forget(claimed.org_id)
        cipher = await self._keyring.cipher(claimed.org_id)
        async with within(self._pool, claimed.scope) as connection:
            users = await connection.fetch(_SQL["users_to_renew"], claimed.org_id, claimed.generation, _USERS_AT_ONCE)
            for user in users:
                place = KeyPlace(claimed.org_id, USER, self._ids.new(), user["version"])
                sealed = cipher.seal(os.urandom(KEY_BYTES), wrapped_seal(place.key_id))
                wrapped = WrappedKey(sealed, str(read_header(sealed).key_id))
                row = DataKeyRow(place, wrapped, "pending", claimed.generation)
                await insert_key(connection, row, user["subject"])
        return len(users)

    async def _has_pending(self, claimed: _Claimed) -> bool:
        async with within(self._pool, claimed.scope) as connection:
            return bool(await connection.fetchval(_SQL["has_pending"], claimed.org_id, claimed.generation))

    async def _activate(self, claimed: _Claimed) -> None:
        following = S.RENEWING if claimed.state is S.PENDING else S.DRAINING
        async with within(self._pool, claimed.scope) as connection:
            await connection.execute(_SQL["activate"], claimed.org_id, claimed.generation)
            if await connection.fetchval(_SQL["enter"], *claimed.place, claimed.state, following) is None:
                raise _Overtaken

    async def _retire(self, claimed: _Claimed) -> None:
        """Generation by generation, each when nobody is between sealing with it and the commit."""
        async with within(self._pool, claimed.scope) as connection:
            rows = await connection.fetch(_SQL["generations_before"], claimed.org_id, claimed.generation)
        for row in rows:
            async with within(self._pool, claimed.scope) as connection:
                await connection.execute(_SQL["close_generation"], claimed.org_id, row["generation"])
                await connection.execute(_SQL["retire"], claimed.org_id, row["generation"])

    async def _encrypt(self, claimed: _Claimed) -> float:
        """A slice of the walk. The walk that met nothing is the proof that nothing is left."""
        self._keyring.forget(claimed.org_id)
        async with within(self._pool, claimed.scope) as connection:
            rows = await connection.fetch(_SQL["retired"], claimed.org_id, claimed.generation)
        walk = self._walk(claimed.org_id, [row["id"] for row in rows])
        position, until = Position.from_json(claimed.position), self._elapsed() + _SLICE_S
        while self._elapsed() < until:
            step = await self._pages(walk, position)
            claimed = await self._note(claimed, step)
            if step.position is None:
                return 0.0 if await self._end_of_walk(claimed) else self._read_s
            position = step.position
        return 0.0

    def _walk(self, org_id: OrgId, old: Sequence[UUID]) -> Reencryption:
        files = None
        if self._folder is not None:
            files = FileReencryption(self._pool, self._keyring, self._folder, org_id, old)
        return Reencryption(self._pool, self._keyring, org_id, old, files=files)

    async def _pages(self, walk: Reencryption, position: Position) -> Step:
        """Half a second's worth: what is written down of the way is lost with a killed worker, and done again."""
        began, steps = self._elapsed(), list[Step]()
        while not steps or (steps[-1].position is not None and self._elapsed() - began < _NOTE_S):
            started, column = self._elapsed(), position.column
            steps.append(await walk.step(position))
            position = steps[-1].position or position
            if found := steps[-1].found:
                await asyncio.sleep(self._pace.rest(column, self._elapsed() - started, found))
        return summed(steps)

    async def _note(self, claimed: _Claimed, step: Step) -> _Claimed:
        """What the step did, written down; a figure of a walk that ended is kept for the decision after it."""
        ended = step.position is None
        after = replace(
            claimed,
            found_in_pass=claimed.found_in_pass + step.found,
            unreadable=claimed.unreadable + step.unreadable,
            passes=claimed.passes + ended,
        )
        done = await self._fetchval(
            claimed,
            "progress",
            {} if step.position is None else step.position.to_json(),
            step.looked_at,
            step.reencrypted,
            0 if ended else after.found_in_pass,
            0 if ended else after.unreadable,
            after.passes,
            _CLAIM_S,
        )
        if done is None:
            raise _Overtaken
        return after

    async def _end_of_walk(self, claimed: _Claimed) -> bool:
        """Whether the rotation is over. Where values did not open, their keys are kept: a repair may need them."""
        if claimed.found_in_pass > claimed.unreadable:
            return False
        async with within(self._pool, claimed.scope) as connection:
            destroyed = 0
            if not claimed.unreadable:
                destroyed = len(await connection.fetch(_SQL["destroy_retired"], claimed.org_id, claimed.generation))
            if await connection.fetchval(_SQL["finish"], *claimed.place, claimed.unreadable) is None:
                raise _Overtaken
        _log.info("rotation.completed", org_id=str(claimed.org_id), destroyed=destroyed, unreadable=claimed.unreadable)
        return True

    async def _enter(self, claimed: _Claimed, state: RotationState) -> None:
        if await self._fetchval(claimed, "enter", claimed.state, state) is None:
            raise _Overtaken

    async def _release(self, claimed: _Claimed, wait_s: float, error: str | None) -> None:
        async with within(self._pool, claimed.scope) as connection:
            await connection.execute(_SQL["release"], *claimed.place, wait_s, error)

    async def _fetchval(self, claimed: _Claimed, query: str, *values: Any) -> Any:
        async with within(self._pool, claimed.scope) as connection:
            return await connection.fetchval(_SQL[query], *claimed.place, *values)
