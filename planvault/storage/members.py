"""People and their places in organisations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import asyncpg

from models.access import (
    MEMBERS_WRITE,
    ROLE_PERMISSIONS,
    Asker,
    Member,
    Membership,
    Role,
    User,
    plain_address,
)
from models.ids import OrgId, ProjectId, UserId
from models.tenants import OrgScope
from planvault.auth.scopes import grants
from planvault.errors import LastOwner, NotAllowed, NotFound
from planvault.ports import Ids
from planvault.storage.pool import Connection, Pool
from planvault.storage.queries import load
from planvault.storage.tenancy import within

_SQL = load("planvault.storage", "sql/members.sql")
_LONGEST = 320  # of an e-mail address (RFC 3696); names and subjects are cut alike

Told: TypeAlias = "Callable[[Connection, Member], Awaitable[None]]"
"""Writes down what became of a member, in the transaction of the change."""


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
        told = (plain_address(email)[:_LONGEST], email_verified and bool(email.strip()), name.strip()[:_LONGEST])
        values = (UserId(self._ids.new()), issuer, subject, *told)
        row = await self._pool.fetchrow(_SQL["signed_in"], *values)
        assert row is not None  # the statement makes it where it was not
        return User.model_validate(dict(row))

    async def organizations_of(self, user_id: UserId) -> list[Membership]:
        """Where the person belongs, the oldest membership first."""
        rows = await self._pool.fetch(_SQL["organizations_of"], user_id)
        return [Membership.model_validate(dict(row)) for row in rows]

    async def page(self, scope: OrgScope, after: UserId | None, limit: int) -> list[Member]:
        async with within(self._pool, scope) as connection:
            return [_member(row) for row in await connection.fetch(_SQL["page"], scope.org_id, after, limit)]

    async def get(self, scope: OrgScope, user_id: UserId) -> Member:
        """Raises NotFound."""
        async with within(self._pool, scope) as connection:
            return await self._get(connection, scope, user_id)

    async def change(self, scope: OrgScope, user_id: UserId, role: Role, asker: Asker, told: Told) -> Member:
        """Give a member another role; `told` writes down the member as it was. Their invitations to more end.

        Raises NotFound; NotAllowed where the asker is below the role that the member has or gets; LastOwner.
        """
        async with within(self._pool, scope) as connection:
            now = await self.hold(connection, scope, asker, role)
            before = await self._below(connection, scope, user_id, now)
            if before.role is Role.OWNER and role is not Role.OWNER:
                await self._keeps_an_owner(connection, scope)
            await connection.execute(_SQL["set_role"], scope.org_id, user_id, role.value)
            await connection.execute(_SQL["end_invitations"], scope.org_id, user_id, _may_give(role))
            await told(connection, before)
        return before.model_copy(update={"role": role})

    async def remove(self, scope: OrgScope, user_id: UserId, asker: Asker, told: Told) -> None:
        """End a membership; within seconds it opens nothing any more. Who removes themselves leaves, whatever the role.

        Their open invitations end: who is about to be removed would come back as somebody else.

        Raises NotFound; NotAllowed where the asker is below the member's role; LastOwner.
        """
        async with within(self._pool, scope) as connection:
            if user_id == asker.user_id:
                await connection.execute(_SQL["hold"], scope.org_id)
                before = await self._get(connection, scope, user_id)
            else:
                now = await self.hold(connection, scope, asker, Role.MEMBER)
                before = await self._below(connection, scope, user_id, now)
            if before.role is Role.OWNER:
                await self._keeps_an_owner(connection, scope)
            await connection.execute(_SQL["remove"], scope.org_id, user_id)
            await connection.execute(_SQL["end_invitations"], scope.org_id, user_id, [])
            await told(connection, before)

    async def hold(self, connection: Connection, scope: OrgScope, asker: Asker, role: Role) -> Role:
        """No other change of this organisation's members goes on until the transaction ends; the asker may give `role`.

        The route was opened by a role that may be seconds old, and two owners may remove each other: what a person is
        now is looked up behind the lock, and is the answer. Raises NotAllowed.
        """
        await connection.execute(_SQL["hold"], scope.org_id)
        now = asker.role
        if asker.user_id is not None:
            found = await connection.fetchval(_SQL["role_now"], scope.org_id, asker.user_id)
            if found is None or not grants(ROLE_PERMISSIONS[Role(found)], MEMBERS_WRITE):
                raise NotAllowed("Your role does not let you change members any more")
            now = Role(found)
        if not now.covers(role):
            raise NotAllowed(f"Only a role of {role} or above may give {role}; yours is {now}")
        return now

    async def withdraw(
        self, connection: Connection, scope: OrgScope, user_id: UserId, asker: Asker
    ) -> tuple[User, tuple[str, ...]]:
        """Who is to be erased, is or was a member, and is none from here on; and the addresses they were invited by.

        Raises NotFound; NotAllowed where the asker is below the person's role; LastOwner.
        """
        now = await self.hold(connection, scope, asker, Role.MEMBER)
        row = await connection.fetchrow(_SQL["known_here"], scope.org_id, user_id)
        if row is None:
            raise NotFound("Nobody with this id is, or was, a member of this organisation")
        if await connection.fetchval(_SQL["role_now"], scope.org_id, user_id) is not None:
            before = await self._below(connection, scope, user_id, now)
            if before.role is Role.OWNER:
                await self._keeps_an_owner(connection, scope)
            await connection.execute(_SQL["remove"], scope.org_id, user_id)
        await connection.execute(_SQL["end_invitations"], scope.org_id, user_id, [])
        addresses = await connection.fetch(_SQL["addresses"], scope.org_id, user_id)
        return User.model_validate(dict(row)), tuple(each["email"] for each in addresses)

    async def confirm(self, connection: Connection, scope: OrgScope, asker: Asker, role: Role) -> None:
        """The asker has at least `role` now, and keeps it until the transaction ends. Raises NotAllowed."""
        await connection.execute(_SQL["hold"], scope.org_id)
        now: Role | None = asker.role
        if asker.user_id is not None:
            found = await connection.fetchval(_SQL["role_now"], scope.org_id, asker.user_id)
            now = None if found is None else Role(found)
        if now is None or not now.covers(role):
            raise NotAllowed(f"This takes the role {role}, which you do not have")

    async def _below(self, connection: Connection, scope: OrgScope, user_id: UserId, role: Role) -> Member:
        """The member, whose role is not above `role`. Raises NotFound, NotAllowed."""
        before = await self._get(connection, scope, user_id)
        if not role.covers(before.role):
            raise NotAllowed(f"Only a role of {before.role} or above may change this member; yours is {role}")
        return before

    async def _keeps_an_owner(self, connection: Connection, scope: OrgScope) -> None:
        if await connection.fetchval(_SQL["owners"], scope.org_id) < 2:
            raise LastOwner("This is the organisation's last OWNER: make another one first")

    async def _get(self, connection: Connection, scope: OrgScope, user_id: UserId) -> Member:
        row = await connection.fetchrow(_SQL["member"], scope.org_id, user_id)
        if row is None:
            raise NotFound("There is no such member of this organisation")
        return _member(row)


def _may_give(role: Role) -> list[str]:
    if not grants(ROLE_PERMISSIONS[role], MEMBERS_WRITE):
        return []
    return [one.value for one in Role if role.covers(one)]


def _member(row: asyncpg.Record) -> Member:
    return Member.model_validate(dict(row))
