"""The organisation's members, and the invitations to become one."""

from uuid import UUID

from fastapi import APIRouter
from starlette.responses import Response

from models.access import Asker, Invitation, LeftBehind, Maker, MakerKind, Member
from models.audit import AuditAction
from models.base import JsonObject
from models.ids import InvitationId, UserId
from planvault.auth.principals import PrincipalKind
from planvault.errors import NotAllowed
from planvault.storage.idempotency import Answer
from planvault.storage.pool import Connection
from serve_apps import paging
from serve_apps.changes import record
from serve_apps.dependencies import Actor, Deps, Grant, OnceKey, Organisation, answers_of
from serve_apps.left_behind import WithKeys, let_go
from serve_apps.routes.answers import problems, respond, wire
from serve_apps.schemas.base import Page
from serve_apps.schemas.keys import LeftBehindOut
from serve_apps.schemas.members import InvitationOut, Invite, MemberOut, NewInvitationOut, PutMember

router = APIRouter(tags=["admin: members"])


@router.get("/members", responses=problems())
async def list_members(
    scope: Organisation, deps: Deps, cursor: paging.Cursor = None, limit: paging.Limit = 50
) -> Page[MemberOut]:
    """By when they were first seen."""
    after = paging.decode_uuid(cursor)
    found = await deps.members.page(scope, UserId(after) if after else None, limit + 1)
    items = [MemberOut.of(member) for member in found[:limit]]
    return Page[MemberOut](
        items=items, next_cursor=paging.encode(str(items[-1].user_id)) if len(found) > limit else None
    )


@router.get("/members/{userId}", responses=problems())
async def get_member(userId: UUID, scope: Organisation, deps: Deps) -> MemberOut:  # noqa: N803 - the path's own name
    return MemberOut.of(await deps.members.get(scope, UserId(userId)))


@router.put("/members/{userId}", responses=problems(409))
async def put_member(
    userId: UUID,  # noqa: N803 - the path's own name
    body: PutMember,
    scope: Organisation,
    deps: Deps,
    grant: Grant,
    actor: Actor,
) -> MemberOut:
    """Give a member another role, at most your own. The last OWNER stays one (409 `LAST_OWNER`)."""

    async def told(connection: Connection, before: Member) -> None:
        what: JsonObject = {
            "member": str(before.user_id),
            "email": before.email,
            "role": body.role,
            "before": before.role,
        }
        await record(deps, connection, scope, AuditAction.MEMBER_ROLE_CHANGED, actor, what)

    return MemberOut.of(await deps.members.change(scope, UserId(userId), body.role, asker(grant), told))


@router.delete("/members/{userId}", responses=problems(409))
async def remove_member(
    userId: UUID,  # noqa: N803 - the path's own name
    scope: Organisation,
    deps: Deps,
    grant: Grant,
    actor: Actor,
    withKeys: WithKeys = False,  # noqa: N803 - as it stands in the query
) -> LeftBehindOut:
    """Whoever is removed is refused within seconds, open streams included. The last OWNER stays (409 `LAST_OWNER`).
    Project keys and service tokens that they were shown go on, unless `withKeys` ends them too; the answer names them.
    To end service tokens takes a person, or the admin token."""
    if withKeys and grant.principal.kind is PrincipalKind.SERVICE:
        raise NotAllowed("`withKeys` ends service tokens too, which people may, and no service token: leave it out")
    found: list[LeftBehind] = []

    async def told(connection: Connection, before: Member) -> None:
        what: JsonObject = {**_place(before), "left": False}
        await record(deps, connection, scope, AuditAction.MEMBER_REMOVED, actor, what)
        person = Maker(kind=MakerKind.PERSON, user_id=before.user_id)
        found.append(await let_go(deps, connection, scope, person, actor, end=withKeys))

    await deps.members.remove(scope, UserId(userId), asker(grant), told)
    return LeftBehindOut.of(found[0])


@router.get("/invitations", responses=problems())
async def list_invitations(scope: Organisation, deps: Deps) -> Page[InvitationOut]:
    """Those that may still be accepted."""
    return Page[InvitationOut](items=[InvitationOut.of(one) for one in await deps.invitations.open(scope)])


@router.post("/invitations", status_code=201, response_model=NewInvitationOut, responses=problems(409))
async def invite(body: Invite, scope: Organisation, deps: Deps, grant: Grant, key: OnceKey, actor: Actor) -> Response:
    """Offer a place, with at most your own role, for 7 days. The token is in this answer and nowhere else: hand it over
    yourself. Another invitation of the same address ends this one."""

    async def told(connection: Connection, made: Invitation) -> None:
        await record(deps, connection, scope, AuditAction.MEMBER_INVITED, actor, _details(made))

    async def make(connection: Connection) -> Answer:
        made, token = await deps.invitations.invite(scope, body.email, body.role, asker(grant), actor, told, connection)
        return Answer(201, wire(NewInvitationOut.with_token(made, token.text)))

    return respond(await deps.idempotency.once(answers_of(scope), key, make))


@router.delete("/invitations/{invitationId}", status_code=204, responses=problems(409))
async def revoke_invitation(
    invitationId: UUID,  # noqa: N803 - the path's own name
    scope: Organisation,
    deps: Deps,
    actor: Actor,
) -> None:
    """Nobody can accept it any more."""

    async def told(connection: Connection, ended: Invitation) -> None:
        await record(deps, connection, scope, AuditAction.INVITATION_REVOKED, actor, _details(ended))

    await deps.invitations.revoke(scope, InvitationId(invitationId), told)


def asker(grant: Grant) -> Asker:
    assert grant.role is not None  # the route belongs to an organisation, and takes no project key
    return Asker(role=grant.role, user_id=grant.principal.user_id)


def _place(member: Member) -> JsonObject:
    return {"member": str(member.user_id), "email": member.email, "role": member.role}


def _details(invitation: Invitation) -> JsonObject:
    return {"invitation": str(invitation.id), "email": invitation.email, "role": invitation.role}
