"""Erasure of a person of the staff: their place ends with the request, what is known of them goes with its work."""

from dataclasses import replace

from models.access import MEMBERS_WRITE, Asker, User
from models.ids import UserId
from models.privacy import Person
from models.tenants import OrgScope
from planvault.auth.permissions import Granted, require
from planvault.auth.principals import person as principal_of
from planvault.storage.pool import Connection
from planvault.storage.privacy import Draft
from serve_apps.dependencies import ApiDeps


async def staff_member(
    deps: ApiDeps, connection: Connection, scope: OrgScope, grant: Granted, user_id: UserId, draft: Draft
) -> tuple[Draft, Person]:
    """The request with the names to look for, and by what the person is known. They are no member from here on.

    Raises NotAllowed, NotFound, LastOwner.
    """
    require(grant, MEMBERS_WRITE)
    assert grant.role is not None  # the route belongs to an organisation, and takes no project key
    asker = Asker(role=grant.role, user_id=grant.principal.user_id)
    user, addresses = await deps.members.withdraw(connection, scope, user_id, asker)
    names = _names(user, addresses)
    return replace(draft, names=names), await deps.privacy.staff(scope.org_id, user_id, names)


def _names(user: User, addresses: tuple[str, ...]) -> tuple[str, ...]:
    """Labels, addresses and ids by which records know the person. A single given name is shared by many."""
    spoken = (user.name,) if " " in user.name else ()
    known = {principal_of(user).actor, f"{user.subject} ({user.issuer})", user.subject, user.email, str(user.id)}
    return tuple(sorted({*known, *addresses, *spoken} - {""}))
