"""What a signed-in person does for themselves: see where they belong, accept an invitation, leave."""

from fastapi import APIRouter

from models.access import Asker, Invitation, Member
from models.audit import AuditAction
from models.base import JsonObject
from models.ids import UserId
from models.tenants import OrgScope
from planvault.auth.principals import Principal
from planvault.storage.pool import Connection
from serve_apps.changes import record
from serve_apps.dependencies import Actor, Caller, Deps, Grant, Organisation
from serve_apps.routes.answers import problems
from serve_apps.schemas.members import AcceptInvitation, AccountOut, MembershipOut

router = APIRouter(prefix="/api/v1/account", tags=["account"])


@router.get("", responses=problems())
async def get_account(caller: Caller, deps: Deps) -> AccountOut:
    """Who you are here, and the organisations that you belong to."""
    user_id = _user(caller)
    found = await deps.members.organizations_of(user_id)
    return AccountOut(
        user_id=user_id,
        actor=caller.actor,
        email=caller.email,
        organizations=[MembershipOut.of(one) for one in found],
    )


@router.post("/invitations", status_code=201, responses=problems(409))
async def accept_invitation(body: AcceptInvitation, caller: Caller, deps: Deps, actor: Actor) -> MembershipOut:
    """Become a member. The invitation must be for your address, and your issuer must have verified that it is yours."""
    user_id = _user(caller)

    async def told(connection: Connection, accepted: Invitation) -> None:
        scope = OrgScope(org_id=accepted.org_id)
        what: JsonObject = {
            "member": str(user_id),
            "email": accepted.email,
            "role": accepted.role,
            "invitation": str(accepted.id),
            "invitedBy": accepted.invited_by,
        }
        await record(deps, connection, scope, AuditAction.MEMBER_JOINED, actor, what)

    accepted = await deps.invitations.accept(body.token, user_id, caller.email, told)
    found = await deps.members.organizations_of(user_id)
    return next(MembershipOut.of(one) for one in found if one.id == accepted.org_id)


@router.delete("/organizations/{orgId}", status_code=204, responses=problems(409))
async def leave_organization(scope: Organisation, grant: Grant, deps: Deps, actor: Actor) -> None:
    """Leave. The last OWNER cannot (409 `LAST_OWNER`): make another one first, or delete the organisation."""
    user_id = _user(grant.principal)
    assert grant.role is not None

    async def told(connection: Connection, before: Member) -> None:
        what: JsonObject = {"member": str(before.user_id), "email": before.email, "role": before.role, "left": True}
        await record(deps, connection, scope, AuditAction.MEMBER_REMOVED, actor, what)

    await deps.members.remove(scope, user_id, Asker(role=grant.role, user_id=user_id), told)


def _user(caller: Principal) -> UserId:
    assert caller.user_id is not None  # the policy lets people in, and nobody else
    return caller.user_id
