"""The audit log's vocabulary: what was decided, by whom."""

# ruff: noqa: S105 - names of actions, some of which are about tokens

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from models.base import Frozen, JsonObject
from models.ids import ProjectId, RunId, SessionId


class AuditAction(StrEnum):
    PLAN_AUTO_APPROVED = "PLAN_AUTO_APPROVED"  # by session, project or tools: `approvalSource`
    PLAN_AUTO_APPROVE_BLOCKED = "PLAN_AUTO_APPROVE_BLOCKED"  # would have been, but for the tools in `blockedBy`
    PLAN_APPROVED = "PLAN_APPROVED"
    PLAN_REJECTED = "PLAN_REJECTED"
    TOOL_APPROVED = "TOOL_APPROVED"
    TOOL_REJECTED = "TOOL_REJECTED"
    TOOL_POLICY_DENIED = "TOOL_POLICY_DENIED"
    APPROVAL_VOTE = "APPROVAL_VOTE"  # one of several that a question needs
    APPROVAL_EXPIRED = "APPROVAL_EXPIRED"
    ACTION_REFUSED = "ACTION_REFUSED"  # an answer that did not count
    RUN_RESOLVED = "RUN_RESOLVED"  # an operator's word on a call of unknown outcome
    SETTINGS_CHANGED = "SETTINGS_CHANGED"
    JOB_SCHEDULED = "JOB_SCHEDULED"  # by a caller of the API, or by a run: `sessionId`
    JOB_CANCELLED = "JOB_CANCELLED"
    SCENARIO_CREATED = "SCENARIO_CREATED"
    SCENARIO_CHANGED = "SCENARIO_CHANGED"
    SCENARIO_DELETED = "SCENARIO_DELETED"  # by itself, or with the integration whose tools it named
    ROUTING_CACHE_CLEARED = "ROUTING_CACHE_CLEARED"  # one entry, or all: `entry` is null
    SECRETS_CHANGED = "SECRETS_CHANGED"  # `names` of those that were set, never their values
    SECRETS_DELETED = "SECRETS_DELETED"
    INTEGRATION_REGISTERED = "INTEGRATION_REGISTERED"
    INTEGRATION_REPLACED = "INTEGRATION_REPLACED"  # its document was imported anew
    INTEGRATION_DELETED = "INTEGRATION_DELETED"
    BULK_IMPORT_CREATED = "BULK_IMPORT_CREATED"
    BULK_IMPORT_DOCUMENT_SENT = "BULK_IMPORT_DOCUMENT_SENT"  # `path`, size and SHA-256
    BULK_IMPORT_STARTED = "BULK_IMPORT_STARTED"
    BULK_IMPORT_CANCELLED = "BULK_IMPORT_CANCELLED"
    PROJECT_RENAMED = "PROJECT_RENAMED"  # `name`, `before`
    PROJECT_DELETED = "PROJECT_DELETED"
    PROJECT_RESTORED = "PROJECT_RESTORED"
    KEY_CREATED = "KEY_CREATED"  # its `key` id, name and scopes, never its text
    KEY_ROTATED = "KEY_ROTATED"
    KEY_REVOKED = "KEY_REVOKED"
    ORGANIZATION_CREATED = "ORGANIZATION_CREATED"  # by who runs the installation: the first row of its log
    ORGANIZATION_DELETED = "ORGANIZATION_DELETED"  # shut for everybody; `purgeAfter` it is destroyed
    ORGANIZATION_RESTORED = "ORGANIZATION_RESTORED"
    ORGANIZATION_LIMITED = "ORGANIZATION_LIMITED"  # `keysPerProject`, `before`: by who runs the installation
    SERVICE_TOKEN_CREATED = "SERVICE_TOKEN_CREATED"  # its `token` id, name, role and end, never its text
    SERVICE_TOKEN_ROTATED = "SERVICE_TOKEN_ROTATED"
    SERVICE_TOKEN_REVOKED = "SERVICE_TOKEN_REVOKED"
    MEMBER_INVITED = "MEMBER_INVITED"  # `email`, `role`
    INVITATION_REVOKED = "INVITATION_REVOKED"
    MEMBER_JOINED = "MEMBER_JOINED"  # who was invited accepted
    MEMBER_ROLE_CHANGED = "MEMBER_ROLE_CHANGED"  # `role`, `before`
    MEMBER_REMOVED = "MEMBER_REMOVED"  # `left`: by themselves
    DATA_KEYS_ROTATED = "DATA_KEYS_ROTATED"  # new data keys were asked for, `reason`
    AUDIT_ERASED = "AUDIT_ERASED"  # details of `rows` were blanked; its own never are
    AUDIT_KEY_ROTATED = "AUDIT_KEY_ROTATED"  # another key signs from now on
    GDPR_EXPORT_REQUESTED = "GDPR_EXPORT_REQUESTED"  # `target`, and `subjects`: pseudonyms, never the identifier
    GDPR_EXPORT_DOWNLOADED = "GDPR_EXPORT_DOWNLOADED"
    GDPR_EXPORT_DELETED = "GDPR_EXPORT_DELETED"  # its file, or the request before there was one
    GDPR_ERASURE_REQUESTED = "GDPR_ERASURE_REQUESTED"
    GDPR_ERASURE_CANCELLED = "GDPR_ERASURE_CANCELLED"
    GDPR_ERASED = "GDPR_ERASED"  # with what was erased, counted


class AuditRow(Frozen):
    """One decision. `details` holds `actor` and what the action needs to be understood; it is kept encrypted."""

    id: UUID
    at: datetime
    action: AuditAction | str  # a text where another build, or somebody else, wrote what this one has no word for
    details: JsonObject
    project_id: ProjectId | None = None
    session_id: SessionId | None = None
    run_id: RunId | None = None


class AuditEntry(NamedTuple):
    """A row at its place in the chain. `row.details` is empty where they are `erased`, or `unreadable`: do not open."""

    seq: int
    row: AuditRow
    erased: bool = False
    unreadable: bool = False


class AuditPage(NamedTuple):
    """`before`: where the next page begins; None: there is none."""

    entries: tuple[AuditEntry, ...]
    before: int | None
