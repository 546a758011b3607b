"""Roles and permissions: who may do what in an organisation. The one vocabulary of keys, people and services.

A permission is an HRN: `hrn:project:…` for what happens inside one project, `hrn:org:…` for what concerns the whole
organisation. Roles hold patterns of them (planvault.auth.scopes matches); docs/access.md tells people the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from models.base import Frozen
from models.ids import InvitationId, KeyId, OrgId, ProjectId, ServiceTokenId, UserId

SESSION_CREATE = "hrn:project:session:create"
SESSION_WRITE = "hrn:project:session:write"
SESSION_HISTORY_READ = "hrn:project:session:history:read"
TOOLS_READ = "hrn:project:tools:read"
TOOLS_WRITE = "hrn:project:tools:write"
SCHEDULES_READ = "hrn:project:schedules:read"
SCHEDULES_WRITE = "hrn:project:schedules:write"
ALL_OF_PROJECT = "hrn:project:*"

PROJECTS_READ = "hrn:org:projects:read"
PROJECTS_WRITE = "hrn:org:projects:write"
PROJECTS_DELETE = "hrn:org:projects:delete"
SETTINGS_READ = "hrn:org:settings:read"
SETTINGS_WRITE = "hrn:org:settings:write"
CATALOG_READ = "hrn:org:catalog:read"
CATALOG_WRITE = "hrn:org:catalog:write"
ROUTING_WRITE = "hrn:org:routing:write"  # whether the organisation's routing cache learns: the owners' choice
SECRETS_READ = "hrn:org:secrets:read"  # names; values never come back out
SECRETS_WRITE = "hrn:org:secrets:write"
KEYS_READ = "hrn:org:keys:read"
KEYS_WRITE = "hrn:org:keys:write"
MEMBERS_READ = "hrn:org:members:read"
MEMBERS_WRITE = "hrn:org:members:write"
TOKENS_READ = "hrn:org:tokens:read"  # service tokens
TOKENS_WRITE = "hrn:org:tokens:write"
AUDIT_READ = "hrn:org:audit:read"
AUDIT_WRITE = "hrn:org:audit:write"  # how it is signed; nobody edits what it says
ENCRYPTION_READ = "hrn:org:encryption:read"
ENCRYPTION_WRITE = "hrn:org:encryption:write"
PRIVACY_READ = "hrn:org:privacy:read"
PRIVACY_WRITE = "hrn:org:privacy:write"
ORG_DELETE = "hrn:org:delete"  # asked for by a body: POST …/gdpr/erasures of the whole organisation

PROJECT_PERMISSIONS = frozenset(
    {SESSION_CREATE, SESSION_WRITE, SESSION_HISTORY_READ, TOOLS_READ, TOOLS_WRITE, SCHEDULES_READ, SCHEDULES_WRITE}
)
"""What routes of the Runtime API ask for. A project key's scopes may be these, or patterns that match one."""

ORG_PERMISSIONS = frozenset(
    {
        *(PROJECTS_READ, PROJECTS_WRITE, PROJECTS_DELETE, SETTINGS_READ, SETTINGS_WRITE, CATALOG_READ, CATALOG_WRITE),
        *(ROUTING_WRITE, SECRETS_READ, SECRETS_WRITE, KEYS_READ, KEYS_WRITE, MEMBERS_READ, MEMBERS_WRITE),
        *(TOKENS_READ, TOKENS_WRITE, AUDIT_READ, AUDIT_WRITE, ENCRYPTION_READ, ENCRYPTION_WRITE),
        *(PRIVACY_READ, PRIVACY_WRITE),
        ORG_DELETE,
    }
)
"""What routes of the Admin API ask for. No project key can hold one, whatever its pattern."""


class Role(StrEnum):
    """What a person, or a service token, is in one organisation; from the most powerful to the least."""

    OWNER = "OWNER"
    ADMIN = "ADMIN"
    DEVELOPER = "DEVELOPER"
    MEMBER = "MEMBER"

    @property
    def rank(self) -> int:
        """0 for MEMBER, 3 for OWNER."""
        return len(Role) - 1 - list(Role).index(self)

    def covers(self, other: Role) -> bool:
        """Whether this role is at least `other`: it may give it, take it away, and change who holds it."""
        return self.rank >= other.rank


_USES = (
    *(SESSION_CREATE, SESSION_WRITE, SESSION_HISTORY_READ, TOOLS_READ, SCHEDULES_READ),
    *(PROJECTS_READ, CATALOG_READ, MEMBERS_READ),
)
_BUILDS = (ALL_OF_PROJECT, CATALOG_WRITE, SETTINGS_READ, SECRETS_READ, SECRETS_WRITE, KEYS_READ)
_RUNS = (
    *(PROJECTS_WRITE, PROJECTS_DELETE, SETTINGS_WRITE, KEYS_WRITE, MEMBERS_WRITE, TOKENS_READ, TOKENS_WRITE),
    *(AUDIT_READ, AUDIT_WRITE, ENCRYPTION_READ, ENCRYPTION_WRITE, PRIVACY_READ, PRIVACY_WRITE),
)

ROLE_PERMISSIONS: Mapping[Role, tuple[str, ...]] = MappingProxyType(
    {
        Role.MEMBER: _USES,
        Role.DEVELOPER: (*_USES, *_BUILDS),
        Role.ADMIN: (*_USES, *_BUILDS, *_RUNS),
        Role.OWNER: (ALL_OF_PROJECT, "hrn:org:*"),
    }
)
"""Each role has what the one below it has, and more (a test holds that)."""


def plain_address(email: str) -> str:
    """One spelling an e-mail address. Only ASCII letters change case: Unicode's rules would make one of two mailboxes
    (`K`, the Kelvin sign, becomes `k`), and who owns the one would take the other's invitations."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in email.strip())


class User(Frozen):
    """A person as their issuer names them: `issuer` and `subject` together are who they are, an e-mail is not."""

    id: UserId
    issuer: str
    subject: str
    email: str  # lower case; empty where the issuer tells none
    email_verified: bool
    name: str


class Member(Frozen):
    """A person's place in one organisation."""

    user_id: UserId
    email: str
    name: str
    role: Role
    joined_at: datetime
    last_seen_at: datetime | None


class Asker(Frozen):
    """Who changes members: with a role that was judged a moment ago, and a person's own is looked up again."""

    role: Role
    user_id: UserId | None = None


class MakerKind(StrEnum):
    UNKNOWN = ""  # made at bring-up, or before makers were noted
    ADMIN = "admin"
    PERSON = "person"
    SERVICE = "service"


class Maker(Frozen):
    """Who was shown the text of a key or a token: it is known to them until it is rotated."""

    kind: MakerKind = MakerKind.UNKNOWN
    user_id: UserId | None = None  # PERSON
    token_id: ServiceTokenId | None = None  # SERVICE


class KnownKey(Frozen):
    """A project key that still opens, and whose text somebody was shown."""

    id: KeyId
    project_id: ProjectId
    name: str
    preview: str
    is_primary: bool
    old_text_only: bool  # what they were shown opens only for the rest of a rotation's grace


class KnownToken(Frozen):
    """The same of a service token."""

    id: ServiceTokenId
    name: str
    preview: str
    old_text_only: bool


class LeftBehind(Frozen):
    """What somebody who goes was shown of keys and tokens; `ended`: they open nothing any more."""

    keys: tuple[KnownKey, ...]
    tokens: tuple[KnownToken, ...]
    ended: bool


class Membership(Frozen):
    """One of the organisations that a person belongs to."""

    id: OrgId
    name: str
    role: Role
    joined_at: datetime


class Invitation(Frozen):
    """An offer of a place, bound to one e-mail address. Its token is shown once and kept as a SHA-256."""

    id: InvitationId
    org_id: OrgId
    email: str
    role: Role
    invited_by: str  # an actor's label
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None = None
    revoked_at: datetime | None = None

    def is_open(self, now: datetime) -> bool:
        return self.accepted_at is None and self.revoked_at is None and now < self.expires_at
