"""Organisations on the wire, for operators."""

from datetime import datetime
from uuid import UUID

from pydantic import Field, StrictInt

from models.organizations import OrganizationSummary
from planvault.storage.org_deletion import Deletion
from serve_apps.schemas.base import Body, Name, Reply, Text
from serve_apps.schemas.members import NewInvitationOut


class InviteOwner(Body):
    email: Text = Field(max_length=320, description="Who may accept: signed in with this address, verified.")


class CreateOrganization(Body):
    name: Name
    owner_email: Text | None = Field(
        default=None,
        max_length=320,
        description="Its first OWNER is invited; without it, invite one later. The admin token manages it meanwhile.",
    )


class PatchOrganization(Body):
    keys_per_project: StrictInt = Field(
        ge=0, le=10_000, description="Scoped keys of each project; the primary is beside."
    )


class OrganizationOut(Reply):
    id: UUID
    name: str
    created_at: datetime
    owners: int = Field(description="0: whoever was invited has not accepted yet.")
    members: int
    projects: int
    keys_per_project: int = Field(description="How many scoped keys each project may have.")
    deleted_at: datetime | None
    purge_after: datetime | None = Field(description="Until then a deleted organisation can be restored.")

    @classmethod
    def of(cls, found: OrganizationSummary) -> "OrganizationOut":
        return cls(**found.model_dump())


class DeletionOut(Reply):
    organization_id: UUID
    requested_at: datetime
    requested_by: str
    purge_after: datetime = Field(description="Until then the organisation can be restored; then its keys go.")
    restored_at: datetime | None
    purge_began_at: datetime | None = Field(description="Its keys were destroyed then: there is no way back.")
    keys_destroyed: int | None
    purged_at: datetime | None = Field(description="Nothing is left then but this, and its audit log.")
    gone: dict[str, int] = Field(description="What was deleted so far, counted.")
    audit_until: datetime | None = Field(description="How long the audit log stays: what its settings said.")
    audit_forgotten_at: datetime | None

    @classmethod
    def of(cls, deletion: Deletion) -> "DeletionOut":
        return cls(
            organization_id=deletion.org_id,
            requested_at=deletion.requested_at,
            requested_by=deletion.requested_by,
            purge_after=deletion.purge_after,
            restored_at=deletion.restored_at,
            purge_began_at=deletion.purge_began_at,
            keys_destroyed=deletion.keys_destroyed,
            purged_at=deletion.purged_at,
            gone=deletion.gone,
            audit_until=deletion.audit_until,
            audit_forgotten_at=deletion.audit_forgotten_at,
        )


class NewOrganizationOut(Reply):
    organization: OrganizationOut
    invitation: NewInvitationOut | None = Field(description="Of the first OWNER; its token is in this answer only.")
