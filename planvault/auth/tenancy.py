"""What decisions ask of the database, remembered for a few seconds."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from time import monotonic
from typing import Generic, TypeVar

from models.access import Role
from models.ids import OrgId, ProjectId, UserId
from planvault.auth.look_ups import LookUps
from planvault.auth.permissions import Tenancy

CACHE_S = 4.0
"""Who was removed, or lost a role, keeps it for at most this long on a replica; the product promises 5 s."""
_CACHED = 10_000

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Fresh(Generic[Key, Value]):
    """Answers that are not older than `CACHE_S`; None is never kept, so that strangers cannot fill the memory."""

    def __init__(self, elapsed: Callable[[], float]) -> None:
        self._elapsed = elapsed
        self._kept: OrderedDict[Key, tuple[float, Value]] = OrderedDict()
        self._look_ups: LookUps[Key, Value] = LookUps(elapsed, CACHE_S)

    async def get(self, key: Key, ask: Callable[[], Awaitable[Value | None]]) -> Value | None:
        kept = self._kept.get(key)
        if kept is not None and self._elapsed() < kept[0]:
            return kept[1]
        return await self._look_ups.find(key, lambda: self._look_up(key, ask))

    async def _look_up(self, key: Key, ask: Callable[[], Awaitable[Value | None]]) -> Value | None:
        asked_at = self._elapsed()  # the answer is as old as the question
        answer = await ask()
        if answer is None:
            self._kept.pop(key, None)
            return None
        self._kept[key] = (asked_at + CACHE_S, answer)
        self._kept.move_to_end(key)
        while len(self._kept) > _CACHED:
            self._kept.popitem(last=False)
        return answer


class CachedTenancy:
    """Implements planvault.auth.permissions.Tenancy over another. One a process."""

    def __init__(self, source: Tenancy, *, elapsed: Callable[[], float] = monotonic) -> None:
        self._source = source
        self._organizations: Fresh[OrgId, bool] = Fresh(elapsed)
        self._owners: Fresh[ProjectId, OrgId] = Fresh(elapsed)
        self._roles: Fresh[tuple[OrgId, UserId], Role] = Fresh(elapsed)

    async def organization_exists(self, org_id: OrgId) -> bool:
        async def ask() -> bool | None:
            return await self._source.organization_exists(org_id) or None

        return await self._organizations.get(org_id, ask) is not None

    async def organization_of(self, project_id: ProjectId) -> OrgId | None:
        return await self._owners.get(project_id, lambda: self._source.organization_of(project_id))

    async def role_of(self, org_id: OrgId, user_id: UserId) -> Role | None:
        return await self._roles.get((org_id, user_id), lambda: self._source.role_of(org_id, user_id))
