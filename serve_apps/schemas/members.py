"""Members and invitations on the wire."""

from datetime import datetime
from uuid import UUID

from pydantic import Field

from models.access import Invitation, Member, Membership, Role
from serve_apps.schemas.base import Body, Name, Reply, Text


class MemberOut(Reply):
    user_id: UUID
    email: str
    name: str
    role: Role
    joined_at: datetime
    last_seen_at: datetime | None

    @classmethod
    def of(cls, member: Member) -> "MemberOut":
        return cls(**member.model_dump())


class PutMember(Body):
    role: Role


class Invite(Body):
    email: Text = Field(max_length=320, description="Who may accept: signed in with this address, verified.")
    role: Role = Field(default=Role.MEMBER, description="At most your own.")


class InvitationOut(Reply):
    id: UUID
    email: str
    role: Role
    invited_by: str
    created_at: datetime
    expires_at: datetime

    @classmethod
    def of(cls, invitation: Invitation) -> "InvitationOut":
        return cls(**invitation.model_dump(exclude={"org_id", "accepted_at", "revoked_at"}))


class NewInvitationOut(InvitationOut):
    token: str = Field(description="For the invited person; shown in this answer only.")

    @classmethod
    def with_token(cls, invitation: Invitation, token: str) -> "NewInvitationOut":
        return cls(**InvitationOut.of(invitation).model_dump(), token=token)


class AcceptInvitation(Body):
    token: Text = Field(min_length=1, max_length=200, description="`pv_invite_…`, from whoever invited you.")


class MembershipOut(Reply):
    id: UUID = Field(description="The organisation's.")
    name: str
    role: Role
    joined_at: datetime

    @classmethod
    def of(cls, membership: Membership) -> "MembershipOut":
        return cls(**membership.model_dump())


class AccountOut(Reply):
    """Who has signed in, and where they belong."""

    user_id: UUID
    actor: str = Field(description="The name under which history and audit log know you.")
    email: str = Field(description="As your issuer has verified it; empty where it has not.")
    organizations: list[MembershipOut]


class RestoreProject(Body):
    name: Name | None = Field(default=None, description="Another one, where the one it had is taken meanwhile.")


class RenameProject(Body):
    name: Name
