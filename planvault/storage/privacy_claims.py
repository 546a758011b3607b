"""A worker's hold on one request: taken for a time, renewed with every portion of work, lost to whoever takes over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from models.base import JsonObject
from models.privacy import PrivacyRequest, RequestKind, RequestState
from models.tenants import OrgScope
from planvault.ports import Keyring
from planvault.storage.pool import Connection, Pool
from planvault.storage.privacy import SQL, Detail, request_of
from planvault.storage.tenancy import within

HOLD = timedelta(seconds=60)  # longer than any portion takes


class ClaimLost(Exception):
    """Another worker has the request, or it was cancelled. Nothing of the open transaction may stand."""


@dataclass(frozen=True, slots=True)
class Claim:
    request: PrivacyRequest

    @property
    def scope(self) -> OrgScope:
        return OrgScope(org_id=self.request.org_id)

    @property
    def place(self) -> tuple[Any, Any]:
        return self.request.org_id, self.request.id

    @property
    def target(self) -> tuple[Any, Any, Any]:
        """What the queries of an erasure begin with: organisation, project, pseudonyms."""
        return self.request.org_id, self.request.project_id, list(self.request.subjects)

    async def progress(self, connection: Connection, counts: Mapping[str, int]) -> None:
        """In the transaction of what is counted. Raises ClaimLost."""
        await self._mine(connection, "progress", {name: n for name, n in counts.items() if n}, HOLD)

    async def enter(self, connection: Connection, stage: str) -> Claim:
        """Raises ClaimLost."""
        await self._mine(connection, "enter_stage", stage)
        return replace(self, request=self.request.model_copy(update={"stage": stage}))

    async def finish(self, connection: Connection, state: RequestState, detail: bytes, error: str | None) -> None:
        """Raises ClaimLost."""
        await self._mine(connection, "finish", state.value, error, detail)

    async def _mine(self, connection: Connection, query: str, *args: Any) -> None:
        if await connection.fetchval(SQL[query], *self.place, self.request.attempts, *args) is None:
            raise ClaimLost


class Claims:
    """Works across organisations."""

    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring

    async def take(self, kind: RequestKind) -> Claim | None:
        """The request that has waited longest; None: none waits."""
        row = await self._pool.fetchrow(SQL["claim"], HOLD, kind.value)
        return None if row is None else Claim(request_of(row))

    async def let_go(self, claim: Claim, pause: timedelta, error: str | None = None) -> None:
        async with within(self._pool, claim.scope) as connection:
            await connection.execute(SQL["let_go"], *claim.place, claim.request.attempts, pause, error)

    async def detail(self, claim: Claim) -> Detail:
        """Raises DecryptionFailed."""
        async with within(self._pool, claim.scope) as connection:
            sealed = await connection.fetchval(SQL["detail"], *claim.place)
        return Detail.opened(await self._keyring.cipher(claim.request.org_id), claim.request.id, sealed)


async def stage_age_s(connection: Connection, claim: Claim) -> float:
    """Seconds since the stage was entered."""
    age: float = await connection.fetchval(SQL["stage_age"], *claim.place)
    return age


async def position_of(connection: Connection, claim: Claim) -> JsonObject:
    """Where the stage's walk stands; empty at its beginning."""
    position: JsonObject = await connection.fetchval(SQL["position"], *claim.place)
    return position


async def set_position(connection: Connection, claim: Claim, position: JsonObject) -> None:
    await connection.execute(SQL["set_position"], *claim.place, position)
