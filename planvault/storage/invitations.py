"""Invitations: an offer of a place for one e-mail address, accepted with a token that is shown once."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeAlias

import asyncpg

from models.access import Asker, Invitation, Role, plain_address
from models.ids import InvitationId, OrgId, UserId
from models.tenants import OrgScope
from planvault.auth.keys import NewKey, digest, new_invitation
from planvault.errors import Conflict, FieldError, InvalidInput, InvitationGone, NotAllowed, NotFound
from planvault.ports import Ids
from planvault.storage.members import Members
from planvault.storage.pool import Connection, Pool
from planvault.storage.queries import load
from planvault.storage.tenancy import scoped, within

_SQL = load("planvault.storage", "sql/invitations.sql")
_MEMBERS = load("planvault.storage", "sql/members.sql")

LASTS = timedelta(days=7)
# Whether there is such a mailbox is for the invited to show; this refuses what is none, and look-alikes beyond ASCII.
_ADDRESS = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")

Told: TypeAlias = "Callable[[Connection, Invitation], Awaitable[None]]"
"""Writes down what became of an invitation, in the transaction of the change."""


def checked_address(email: str, pointer: str = "/email") -> str:
    """The address as it is compared. Raises InvalidInput, at `pointer`, for what is none."""
    address = plain_address(email)
    if not _ADDRESS.fullmatch(address):
        fault = FieldError(pointer, "must be an e-mail address of ASCII characters, such as ada@example.com")
        raise InvalidInput("The address is not valid", errors=(fault,))
    return address


class Invitations:
    def __init__(self, pool: Pool, ids: Ids, members: Members) -> None:
        self._pool = pool
        self._ids = ids
        self._members = members

    async def invite(
        self, scope: OrgScope, email: str, role: Role, asker: Asker, invited_by: str, told: Told, db: Connection
    ) -> tuple[Invitation, NewKey]:
        """An offer, open for `LASTS`, and its token, which exists only in this answer; an open one of the address ends.

        Raises InvalidInput for what is no address, NotAllowed for a role above the asker's, Conflict for a member.
        `db` is the caller's open transaction.
        """
        address = checked_address(email)
        await self._members.hold(db, scope, asker, role)
        if await db.fetchval(_MEMBERS["by_address"], scope.org_id, address) is not None:
            raise Conflict("Who has this address is a member: change the role instead")
        token = new_invitation()
        await db.execute(_SQL["replace"], scope.org_id, address)
        values = (InvitationId(self._ids.new()), address, role.value, token.sha256, invited_by, LASTS.total_seconds())
        row = await db.fetchrow(_SQL["insert"], scope.org_id, *values, asker.user_id)
        assert row is not None
        made = Invitation.model_validate(dict(row))
        await told(db, made)
        return made, token

    async def open(self, scope: OrgScope) -> list[Invitation]:
        rows = await scoped(self._pool, scope).fetch(_SQL["open"], scope.org_id)
        return [Invitation.model_validate(dict(row)) for row in rows]

    async def revoke(self, scope: OrgScope, invitation_id: InvitationId, told: Told) -> None:
        """Raises NotFound, InvitationGone for one that nobody could accept any more."""
        async with within(self._pool, scope) as connection:
            invitation = await self._held(connection, scope, invitation_id)
            await connection.execute(_SQL["revoke"], scope.org_id, invitation.id)
            await told(connection, invitation)

    async def accept(self, token: str, user_id: UserId, email: str, told: Told) -> Invitation:
        """The person becomes a member with the role of the invitation. `email` is theirs, verified; empty: none is.

        Raises NotFound for an unknown token, NotAllowed where it is for another address, InvitationGone, Conflict for
        one who is a member already.
        """
        found = await self._pool.fetchrow(_SQL["of_token"], digest(token))
        if found is None:
            raise NotFound("There is no such invitation")
        scope = OrgScope(org_id=OrgId(found["org_id"]))
        async with within(self._pool, scope) as connection:
            await connection.execute(_MEMBERS["hold"], scope.org_id)
            invitation = await self._held(connection, scope, InvitationId(found["id"]))
            if not email or plain_address(email) != invitation.email:
                raise NotAllowed("The invitation is for another e-mail address, or your issuer has not verified yours")
            joined = await connection.fetchval(_MEMBERS["join"], scope.org_id, user_id, invitation.role.value)
            if joined is None:
                raise Conflict("You are a member of this organisation already")
            await connection.execute(_SQL["accept"], scope.org_id, invitation.id, user_id)
            await told(connection, invitation)
        return invitation

    async def _held(self, connection: Connection, scope: OrgScope, invitation_id: InvitationId) -> Invitation:
        """The invitation, while nobody else changes it. Raises NotFound, InvitationGone."""
        row: asyncpg.Record | None = await connection.fetchrow(_SQL["held"], scope.org_id, invitation_id)
        if row is None:
            raise NotFound("There is no such invitation in this organisation")
        if row["is_over"]:
            raise InvitationGone("The invitation was used, revoked or has expired: ask for another one")
        return Invitation.model_validate({name: value for name, value in row.items() if name != "is_over"})
