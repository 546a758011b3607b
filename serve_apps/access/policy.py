"""The written policy: every route of the application, the credentials it takes, and the permission it needs.

This table is what people review, what the gate enforces (serve_apps.access.gate), what docs/access.md shows, and what
the access matrix in the tests is derived from. A route without a row keeps the application from starting; so does a
row without its route. The tenant is always the one that the path names: `{orgId}`, `{projectId}`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from models import access
from planvault.auth.principals import PrincipalKind

RUNTIME = "/api/v1/projects/{projectId}"
SESSION = RUNTIME + "/sessions/{sessionId}"
ADMIN = "/admin/v1/orgs/{orgId}"
PROJECT = ADMIN + "/projects/{projectId}"

OPEN: frozenset[PrincipalKind] = frozenset()
"""Takes no credential of ours: a probe, documents, and routes whose handler checks a secret of another kind."""
WORKS = frozenset({PrincipalKind.PROJECT_KEY, PrincipalKind.USER, PrincipalKind.SERVICE})
MANAGES = frozenset({PrincipalKind.ADMIN, PrincipalKind.USER, PrincipalKind.SERVICE})
PERSON = frozenset({PrincipalKind.USER})
APPOINTS = frozenset({PrincipalKind.ADMIN, PrincipalKind.USER})
"""Makes service tokens: one that could make others would outlive its own revocation."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One route. `permission` is empty where being of one of `kinds` is enough; no kinds: anybody may call."""

    method: str
    path: str
    kinds: frozenset[PrincipalKind]
    permission: str = ""

    @property
    def is_open(self) -> bool:
        return not self.kinds


def _rules(kinds: frozenset[PrincipalKind], prefix: str, rows: Mapping[str, str]) -> Iterable[Rule]:
    """`rows`: method and the path below `prefix` → permission."""
    for route, permission in rows.items():
        method, _, path = route.partition(" ")
        yield Rule(method, prefix + path, kinds, permission)


_OPEN = {
    "GET /health": "",
    "GET /api/openapi.json": "",
    "GET /api-docs": "",
    "GET /api-docs/{name}": "",
    "POST /api/v1/projects/{projectId}/callbacks/{tokenId}": "",  # the signal's own secret
}

_ACCOUNT = {
    "GET /api/v1/account": "",
    "POST /api/v1/account/invitations": "",
    "DELETE /api/v1/account/organizations/{orgId}": "",
}

_RUNTIME = {
    "POST /sessions": access.SESSION_CREATE,
    "GET /sessions": access.SESSION_HISTORY_READ,
    "GET /tools": access.TOOLS_READ,
    "PUT /tools/integrations": access.TOOLS_WRITE,
    "PUT /tools/integrations/{alias}": access.TOOLS_WRITE,
    "POST /tools/test-selection": access.TOOLS_READ,
    "POST /scheduled-jobs": access.SCHEDULES_WRITE,
    "GET /scheduled-jobs": access.SCHEDULES_READ,
    "GET /scheduled-jobs/{jobId}": access.SCHEDULES_READ,
    "GET /scheduled-jobs/{jobId}/occurrences": access.SCHEDULES_READ,
    "POST /scheduled-jobs/{jobId}/cancel": access.SCHEDULES_WRITE,
}

_SESSION = {
    "GET ": access.SESSION_HISTORY_READ,
    "PATCH ": access.SESSION_WRITE,
    "PUT /secrets": access.SESSION_WRITE,
    "POST /messages": access.SESSION_WRITE,
    "POST /actions": access.SESSION_WRITE,
    "POST /feedback": access.SESSION_WRITE,
    "GET /history": access.SESSION_HISTORY_READ,
    "GET /chat": access.SESSION_HISTORY_READ,
    "GET /runs": access.SESSION_HISTORY_READ,
    "GET /runs/{runId}": access.SESSION_HISTORY_READ,
    "GET /signals": access.SESSION_WRITE,  # each comes with a token that writes to a run
    "GET /blobs/{blobId}": access.SESSION_HISTORY_READ,
}

_ORGANIZATION = {
    "GET /settings": access.SETTINGS_READ,
    "PUT /settings": access.SETTINGS_WRITE,
    "GET /secrets": access.SECRETS_READ,
    "PUT /secrets": access.SECRETS_WRITE,
    "DELETE /secrets/{name}": access.SECRETS_WRITE,
    "GET /dek": access.ENCRYPTION_READ,
    "POST /dek/rotate": access.ENCRYPTION_WRITE,
    "GET /audit": access.AUDIT_READ,
    "GET /audit/verify": access.AUDIT_READ,
    "GET /audit/head": access.AUDIT_READ,
    "GET /audit/export": access.AUDIT_READ,
    "GET /audit/keys": access.AUDIT_READ,
    "POST /audit/keys": access.AUDIT_WRITE,
    "GET /projects": access.PROJECTS_READ,
    "POST /projects": access.PROJECTS_WRITE,
    "GET /deleted-projects": access.PROJECTS_READ,
    "POST /deleted-projects/{deletedId}/restore": access.PROJECTS_DELETE,
}

_MEMBERS = {
    "GET /members": access.MEMBERS_READ,
    "GET /members/{userId}": access.MEMBERS_READ,
    "PUT /members/{userId}": access.MEMBERS_WRITE,
    "DELETE /members/{userId}": access.MEMBERS_WRITE,
    "GET /invitations": access.MEMBERS_WRITE,
    "POST /invitations": access.MEMBERS_WRITE,
    "DELETE /invitations/{invitationId}": access.MEMBERS_WRITE,
}

_TOKENS_READ = {
    "GET /service-tokens": access.TOKENS_READ,
    "GET /service-tokens/{tokenId}": access.TOKENS_READ,
}

_TOKENS_WRITE = {
    "POST /service-tokens": access.TOKENS_WRITE,
    "POST /service-tokens/{tokenId}/rotate": access.TOKENS_WRITE,
    "DELETE /service-tokens/{tokenId}": access.TOKENS_WRITE,
}

_PROJECT = {
    "GET ": access.PROJECTS_READ,
    "PATCH ": access.PROJECTS_WRITE,
    "DELETE ": access.PROJECTS_DELETE,
    "GET /settings": access.PROJECTS_READ,
    "PUT /settings": access.PROJECTS_WRITE,
    "GET /keys": access.KEYS_READ,
    "POST /keys": access.KEYS_WRITE,
    "POST /keys/{keyId}/rotate": access.KEYS_WRITE,
    "DELETE /keys/{keyId}": access.KEYS_WRITE,
    "GET /secrets": access.SECRETS_READ,
    "PUT /secrets": access.SECRETS_WRITE,
    "DELETE /secrets/{name}": access.SECRETS_WRITE,
    "POST /scheduled-jobs": access.SCHEDULES_WRITE,
    "GET /scheduled-jobs": access.SCHEDULES_READ,
    "GET /scheduled-jobs/{jobId}": access.SCHEDULES_READ,
    "GET /scheduled-jobs/{jobId}/occurrences": access.SCHEDULES_READ,
    "POST /scheduled-jobs/{jobId}/cancel": access.SCHEDULES_WRITE,
}

_CATALOG = {
    "GET /tools": access.CATALOG_READ,
    "POST /tools": access.CATALOG_WRITE,
    "GET /tools/{toolId}": access.CATALOG_READ,
    "PUT /tools/{toolId}": access.CATALOG_WRITE,
    "DELETE /tools/{toolId}": access.CATALOG_WRITE,
    "GET /imports": access.CATALOG_READ,
    "GET /imports/{importId}": access.CATALOG_READ,
    "POST /bulk-imports": access.CATALOG_WRITE,
    "GET /bulk-imports": access.CATALOG_READ,
    "GET /bulk-imports/{importId}": access.CATALOG_READ,
    "PUT /bulk-imports/{importId}/documents": access.CATALOG_WRITE,
    "GET /bulk-imports/{importId}/documents": access.CATALOG_READ,
    "GET /bulk-imports/{importId}/report": access.CATALOG_READ,
    "POST /bulk-imports/{importId}/start": access.CATALOG_WRITE,
    "POST /bulk-imports/{importId}/cancel": access.CATALOG_WRITE,
    "POST /scenarios": access.CATALOG_WRITE,
    "GET /scenarios": access.CATALOG_READ,
    "GET /scenarios/{scenarioId}": access.CATALOG_READ,
    "PUT /scenarios/{scenarioId}": access.CATALOG_WRITE,
    "DELETE /scenarios/{scenarioId}": access.CATALOG_WRITE,
    "GET /routing-cache": access.CATALOG_READ,
    "PUT /routing-cache": access.ROUTING_WRITE,
    "DELETE /routing-cache": access.CATALOG_WRITE,
    "GET /routing-cache/suggestions": access.CATALOG_READ,
    "POST /routing-cache/suggestions/{entryId}": access.CATALOG_WRITE,
    "DELETE /routing-cache/{entryId}": access.CATALOG_WRITE,
}

_PRIVACY = {
    "POST /gdpr/exports": access.PRIVACY_WRITE,
    "GET /gdpr/exports": access.PRIVACY_READ,
    "GET /gdpr/exports/{exportId}": access.PRIVACY_READ,
    "GET /gdpr/exports/{exportId}/file": access.PRIVACY_WRITE,  # everything about a person: more than a status
    "DELETE /gdpr/exports/{exportId}": access.PRIVACY_WRITE,
    "POST /gdpr/erasures": access.PRIVACY_WRITE,
    "GET /gdpr/erasures": access.PRIVACY_READ,
    "GET /gdpr/erasures/{erasureId}": access.PRIVACY_READ,
    "POST /gdpr/erasures/{erasureId}/cancel": access.PRIVACY_WRITE,
}

POLICY: tuple[Rule, ...] = (
    *_rules(OPEN, "", _OPEN),
    *_rules(PERSON, "", _ACCOUNT),
    *_rules(WORKS, RUNTIME, _RUNTIME),
    *_rules(WORKS, SESSION, _SESSION),
    *_rules(MANAGES, ADMIN, _ORGANIZATION),
    *_rules(MANAGES, ADMIN, _TOKENS_READ),
    *_rules(APPOINTS, ADMIN, _TOKENS_WRITE),
    *_rules(MANAGES, ADMIN, _MEMBERS),
    *_rules(MANAGES, PROJECT, _PROJECT),
    *_rules(MANAGES, ADMIN, _CATALOG),
    *_rules(MANAGES, ADMIN, _PRIVACY),
)
