"""Tenants: organisations, projects, and who is asking."""

from datetime import datetime

from models.access import MakerKind
from models.base import Frozen
from models.ids import KeyId, OrgId, ProjectId, ServiceTokenId, SessionId, UserId
from models.policies import OrgSettings, ProjectSettings


class OrgScope(Frozen):
    """The organisation on whose rows a query may work. Every repository call takes a scope."""

    org_id: OrgId


class ProjectScope(OrgScope):
    project_id: ProjectId


class SessionScope(ProjectScope):
    session_id: SessionId


class Organization(Frozen):
    id: OrgId
    name: str
    settings: OrgSettings
    created_at: datetime


class Project(Frozen):
    id: ProjectId
    org_id: OrgId
    name: str
    settings: ProjectSettings
    created_at: datetime


class DeletedProject(Frozen):
    """One that can be restored until `purge_after`; then what it held goes."""

    id: ProjectId
    name: str  # as it was
    deleted_at: datetime
    purge_after: datetime


class ApiKey(Frozen):
    """What may be shown of a project key after its creation."""

    id: KeyId
    name: str
    preview: str  # last four characters
    scopes: tuple[str, ...]
    is_primary: bool
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None = None  # None: it lives until it is revoked
    rotated_at: datetime | None = None
    retiring_until: datetime | None = None  # after a rotation: how long the text before it still opens
    revoked_at: datetime | None
    maker_kind: MakerKind = MakerKind.UNKNOWN  # who was shown the text that opens now
    maker_user: UserId | None = None  # of SERVICE: the person who was shown the token
    maker_token: ServiceTokenId | None = None
    maker_is_gone: bool = False  # they have no place in the organisation any more; the key opens all the same
