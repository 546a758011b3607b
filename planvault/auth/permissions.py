"""The one place that decides: may this principal do what a route needs, in this organisation or project?

The order of the questions is part of the contract (docs/access.md). Whether the kind of credential may use the route
at all comes first and tells nothing about any tenant; then whether the organisation and the project are the caller's,
where the answer to a stranger is that they do not exist; last whether the caller's scopes or role allow it there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from models.access import ROLE_PERMISSIONS, Role
from models.ids import OrgId, ProjectId, UserId
from models.tenants import OrgScope, ProjectScope
from planvault.auth import scopes
from planvault.auth.principals import Principal, PrincipalKind
from planvault.errors import NotAllowed, NotFound

_KEY_NAMESPACE = "hrn:project:"
_CREDENTIALS = {
    PrincipalKind.PROJECT_KEY: "a project key (sk_live_…)",
    PrincipalKind.ADMIN: "the admin token",
    PrincipalKind.USER: "a signed-in person's token",
    PrincipalKind.SERVICE: "a service token",
}


class Tenancy(Protocol):
    """What a decision asks of the database. planvault.auth.tenancy.CachedTenancy answers from memory for 4 s."""

    async def organization_exists(self, org_id: OrgId) -> bool:
        """Whether there is such an organisation, and it is not deleted."""
        ...

    async def organization_of(self, project_id: ProjectId) -> OrgId | None:
        """Whose project this is; None for one that does not exist, or whose organisation is deleted."""
        ...

    async def role_of(self, org_id: OrgId, user_id: UserId) -> Role | None:
        """The person's role in the organisation; None for one who is no member, or where it is deleted."""
        ...


@dataclass(frozen=True, slots=True)
class Granted:
    """A decision in favour: the caller, the scope to query with, and the rank that it may not exceed."""

    principal: Principal
    scope: OrgScope | ProjectScope | None  # None: the route belongs to no organisation
    role: Role | None  # None for project keys, which have scopes, and where no organisation is named


async def decide(
    principal: Principal,
    permission: str,
    kinds: Iterable[PrincipalKind],
    tenancy: Tenancy,
    *,
    org_id: OrgId | None = None,
    project_id: ProjectId | None = None,
) -> Granted:
    """May `principal` do what needs `permission` there? An empty permission: being of these kinds is enough.

    Raises NotAllowed for a kind or a permission that is lacking, NotFound for what is not the caller's to see.
    """
    allowed = frozenset(kinds)
    if principal.kind not in allowed:
        raise NotAllowed(f"This call takes {_list(allowed)}.")
    if org_id is None and project_id is None:
        return Granted(principal, None, None)
    scope = await _place(principal, tenancy, org_id, project_id)
    role = await _role(principal, tenancy, scope.org_id)
    if permission and not holds(principal, role, permission):
        raise NotAllowed(_lacks(principal, role, permission))
    return Granted(principal, scope, role)


def require(granted: Granted, permission: str) -> None:
    """What a body asks for beyond its route's permission. Raises NotAllowed."""
    if not holds(granted.principal, granted.role, permission):
        raise NotAllowed(_lacks(granted.principal, granted.role, permission))


def holds(principal: Principal, role: Role | None, permission: str) -> bool:
    """Whether the caller, who is `role` in the organisation, has `permission` (a plain one, no pattern)."""
    if principal.kind is PrincipalKind.PROJECT_KEY:
        # Whatever pattern stands in a key's row, it never reaches beyond its project.
        held = (scope for scope in principal.scopes if scope.startswith(_KEY_NAMESPACE))
        return permission.startswith(_KEY_NAMESPACE) and scopes.grants(held, permission)
    if role is None:
        return False
    return scopes.grants(ROLE_PERMISSIONS[role], permission)


async def _place(
    principal: Principal, tenancy: Tenancy, org_id: OrgId | None, project_id: ProjectId | None
) -> OrgScope | ProjectScope:
    """The organisation, and the project, that the request names and the caller belongs to. Raises NotFound."""
    if principal.kind is PrincipalKind.PROJECT_KEY:
        # What the key's own row says; nothing is looked up.
        if project_id is None or project_id != principal.project_id or org_id not in (None, principal.org_id):
            raise NotFound("There is no such project for this key")
        assert principal.org_id is not None
        return ProjectScope(org_id=principal.org_id, project_id=project_id)
    owner = None if project_id is None else await tenancy.organization_of(project_id)
    wanted = owner if org_id is None else org_id
    if wanted is None or not await _belongs(principal, tenancy, wanted):
        raise NotFound("There is no such organisation" if org_id is not None else "There is no such project")
    if project_id is None:
        return OrgScope(org_id=wanted)
    if owner != wanted:
        raise NotFound("There is no such project in this organisation")
    return ProjectScope(org_id=wanted, project_id=project_id)


async def _belongs(principal: Principal, tenancy: Tenancy, org_id: OrgId) -> bool:
    if principal.kind is PrincipalKind.SERVICE and principal.org_id != org_id:
        return False
    if principal.kind is PrincipalKind.USER:
        return await _role(principal, tenancy, org_id) is not None
    return await tenancy.organization_exists(org_id)


async def _role(principal: Principal, tenancy: Tenancy, org_id: OrgId) -> Role | None:
    match principal.kind:
        case PrincipalKind.ADMIN:
            return Role.OWNER
        case PrincipalKind.SERVICE:
            return principal.role if principal.org_id == org_id else None
        case PrincipalKind.USER:
            return None if principal.user_id is None else await tenancy.role_of(org_id, principal.user_id)
        case PrincipalKind.PROJECT_KEY:
            return None


def _lacks(principal: Principal, role: Role | None, permission: str) -> str:
    if principal.kind is PrincipalKind.PROJECT_KEY:
        return f"This key lacks the scope {permission}"
    return f"The role {role} lacks the permission {permission}"


def _list(kinds: frozenset[PrincipalKind]) -> str:
    names = [text for kind, text in _CREDENTIALS.items() if kind in kinds]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
