"""People and their places in organisations."""

from __future__ import annotations

from collections.abc import Callable

import asyncpg

from models.access import Member, Role, User
from models.ids import OrgId, ProjectId, UserId
from models.tenants import OrgScope
from planvault.errors import LastOwner, NotAllowed, NotFound
from planvault.ports import Ids
from planvault.storage.pool import Connection, Pool
from planvault.storage.queries import load
from planvault.storage.tenancy import within
from planvault.storage.tenants import Witness

_SQL = load("planvault.storage", "sql/members.sql")
_LONGEST = 320  # of an e-mail address (RFC 3696); names and subjects are cut alike


class Members:
    """Implements planvault.auth.permissions.Tenancy, and what the Admin API does with members."""

    def __init__(self, pool: Pool, ids: Ids) -> None:
        self._pool = pool
        self._ids = ids

    async def organization_exists(self, org_id: OrgId) -> bool:
        return bool(await self._pool.fetchval(_SQL["is_live"], org_id))

    async def organization_of(self, project_id: ProjectId) -> OrgId | None:
        found = await self._pool.fetchval(_SQL["organization_of_project"], project_id)
        return None if found is None else OrgId(found)

    async def role_of(self, org_id: OrgId, user_id: UserId) -> Role | None:
        found = await self._pool.fetchval(_SQL["role_of"], org_id, user_id)
        return None if found is None else Role(found)

    async def signed_in(self, issuer: str, subject: str, *, email: str, email_verified: bool, name: str) -> User:
        """The person whom a checked token of `issuer` names; made at first sight, brought up to date later.

        `issuer` and `subject` are the token's `iss` and `sub`; who they are never depends on the e-mail address.
        """
        told = (email.strip().casefold()[:_LONGEST], email_verified and bool(email.strip()), name.strip()[:_LONGEST])
        values = (UserId(self._ids.new()), issuer, subject, *told)
        row = await self._pool.fetchrow(_SQL["signed_in"], *values)
        assert row is not None  # the statement makes it where it was not
        return User.model_validate(dict(row))

    async def page(self, scope: OrgScope, after: UserId | None, limit: int) -> list[Member]:
        async with within(self._pool, scope) as connection:
            return [_member(row) for row in await connection.fetch(_SQL["page"], scope.org_id, after, limit)]

    async def get(self, scope: OrgScope, user_id: UserId) -> Member:
        """Raises NotFound."""
        async with within(self._pool, scope) as connection:
            return await self._get(connection, scope, user_id)

    async def change(
        self, scope: OrgScope, user_id: UserId, role: Role, by: Role, witness: Callable[[Member], Witness]
    ) -> Member:
        """Give a member another role. `by` is the role of who asks; `witness` tells of the member as it was.

        Raises NotFound; NotAllowed where `by` is below the role that the member has or gets; Conflict for the last
        OWNER.
        """
        async with within(self._pool, scope) as connection:
            before = await self._held(connection, scope, user_id, by)
            if not by.covers(role):
                raise NotAllowed(f"Only a role of {role} or above may give {role}")
            if before.role is Role.OWNER and role is not Role.OWNER:
                await self._keeps_an_owner(connection, scope)
            await connection.execute(_SQL["set_role"], scope.org_id, user_id, role.value)
            await witness(before)(connection)
        return before.model_copy(update={"role": role})

    async def remove(
        self, scope: OrgScope, user_id: UserId, by: Role | None, witness: Callable[[Member], Witness]
    ) -> None:
        """End a membership; within seconds it opens nothing any more. `by` None: the member leaves.

        Raises NotFound; NotAllowed where the member's role is above `by`; Conflict for the last OWNER.
        """
        async with within(self._pool, scope) as connection:
            before = await self._held(connection, scope, user_id, by)
            if before.role is Role.OWNER:
                await self._keeps_an_owner(connection, scope)
            await connection.execute(_SQL["remove"], scope.org_id, user_id)
            await witness(before)(connection)

    async def _held(self, connection: Connection, scope: OrgScope, user_id: UserId, by: Role | None) -> Member:
        """The member, while no other change of members of this organisation goes on."""
        await connection.execute(_SQL["hold"], scope.org_id)
        before = await self._get(connection, scope, user_id)
        if by is not None and not by.covers(before.role):
            raise NotAllowed(f"Only a role of {before.role} or above may change this member")
        return before

    async def _keeps_an_owner(self, connection: Connection, scope: OrgScope) -> None:
        if await connection.fetchval(_SQL["owners"], scope.org_id) < 2:
            raise LastOwner("This is the organisation's last OWNER: make another one first")

    async def _get(self, connection: Connection, scope: OrgScope, user_id: UserId) -> Member:
        row = await connection.fetchrow(_SQL["member"], scope.org_id, user_id)
        if row is None:
            raise NotFound("There is no such member of this organisation")
        return _member(row)


def _member(row: asyncpg.Record) -> Member:
    return Member.model_validate(dict(row))
