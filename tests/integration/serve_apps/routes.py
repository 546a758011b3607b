"""The route table as the OpenAPI document gives it, so that a new route is in the matrix without anybody's help."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any
from uuid import UUID

from planvault.settings import Settings
from serve_apps.api import assemble
from serve_apps.documents import document_of

# Open to strangers: a probe, and the callbacks, whose own credential is a signal's (test_callbacks.py).
PUBLIC = frozenset({("GET", "/health"), ("POST", "/api/v1/projects/{projectId}/callbacks/{tokenId}")})
SOME_ID = str(UUID(int=7))

_BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/sessions"): {},
    ("PATCH", "/sessions/{sessionId}"): {"status": "closed"},
    ("PUT", "/sessions/{sessionId}/secrets"): {"secrets": {"A": "b"}},
    ("POST", "/sessions/{sessionId}/messages"): {"message": "hi"},
    ("POST", "/sessions/{sessionId}/actions"): {"action": "cancel"},
    ("PUT", "/tools/integrations"): {"integrations": [{"alias": "shop", "enabled": True}]},
    ("PUT", "/tools/integrations/{alias}"): {"enabled": True},
    ("POST", "/tools/test-selection"): {"query": "orders"},
    ("POST", "/tools"): {"name": "shop", "openApiSpec": {"openapi": "3.1.0"}},
    ("PUT", "/tools/{toolId}"): {"name": "shop", "openApiSpec": {"openapi": "3.1.0"}},
    ("PUT", "/settings"): {},
    ("POST", "/projects"): {"name": "another project"},
    ("PUT", "/projects/{projectId}/settings"): {},
    ("POST", "/audit/keys"): None,
    ("POST", "/service-tokens"): {"name": "ci", "role": "MEMBER"},
    ("POST", "/service-tokens/{tokenId}/rotate"): None,
    ("POST", "/dek/rotate"): {},
    ("POST", "/gdpr/exports"): {"target": "organization"},
    ("POST", "/gdpr/erasures"): {"target": "external_user", "externalUserId": "u"},
    ("POST", "/gdpr/erasures/{erasureId}/cancel"): None,
    ("POST", "/deleted-projects/{deletedId}/restore"): None,
    ("PATCH", "/projects/{projectId}"): {"name": "another name"},
    ("PUT", "/members/{userId}"): {"role": "MEMBER"},
    ("POST", "/invitations"): {"email": "new@example.com"},
    ("POST", "/api/v1/account/invitations"): {"token": "pv_invite_x"},
    ("POST", "/projects/{projectId}/keys"): {"name": "k", "scopes": ["hrn:project:*"]},
    ("POST", "/projects/{projectId}/keys/{keyId}/rotate"): None,
    ("PUT", "/secrets"): {"secrets": {"A": "b"}},
    ("PUT", "/projects/{projectId}/secrets"): {"secrets": {"A": "b"}},
    ("POST", "/scheduled-jobs"): {"prompt": "hi", "delaySeconds": 60},
    ("POST", "/scheduled-jobs/{jobId}/cancel"): None,
    ("POST", "/projects/{projectId}/scheduled-jobs"): {"prompt": "hi", "delaySeconds": 60},
    ("POST", "/projects/{projectId}/scheduled-jobs/{jobId}/cancel"): None,
    ("POST", "/sessions/{sessionId}/feedback"): {"runId": SOME_ID, "value": "like"},
    ("POST", "/scenarios"): {"name": "orders", "sampleQueries": ["my orders"], "tools": ["list_orders"]},
    ("PUT", "/scenarios/{scenarioId}"): {"name": "orders", "sampleQueries": ["my orders"], "tools": ["list_orders"]},
    ("PUT", "/routing-cache"): {"enabled": True},
    ("POST", "/bulk-imports"): {"namePrefix": "oad"},
    ("PUT", "/bulk-imports/{importId}/documents"): {"openapi": "3.1.0"},
    ("POST", "/bulk-imports/{importId}/start"): None,
    ("POST", "/bulk-imports/{importId}/cancel"): None,
    ("POST", "/routing-cache/suggestions/{entryId}"): {"name": "orders", "sampleQueries": ["my orders"]},
}


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    operation: dict[str, Any]

    @property
    def is_admin(self) -> bool:
        return self.path.startswith("/admin/")

    @property
    def is_runtime(self) -> bool:
        """Of one project, whose key opens it. A person's account is neither this nor the Admin API."""
        return self.path.startswith("/api/v1/projects/")

    @property
    def own_path(self) -> str:
        return re.sub(r"^/(api/v1/projects/\{projectId\}|admin/v1/orgs/\{orgId\})", "", self.path)

    @property
    def body(self) -> Any:
        """A valid body. A new route with a body fails here until it has one."""
        return _BODIES[self.method, self.own_path] if self.method in {"POST", "PUT", "PATCH"} else None

    def url(self, **ids: str) -> str:
        names = {"alias": "shop", "name": "SOME_SECRET"} | ids
        path = re.sub(r"\{(\w+)\}", lambda found: names.get(found[1], SOME_ID), self.path)
        if self.path.endswith("/documents"):
            return f"{path}?path=shop.json"
        return f"{path}?toolId={SOME_ID}" if self.path.endswith("/imports") else path


@cache
def openapi_document() -> dict[str, Any]:
    return document_of(assemble(Settings()))


def all_routes() -> list[Route]:
    paths = openapi_document()["paths"]
    return [
        Route(method.upper(), path, operation)
        for path, operations in paths.items()
        for method, operation in operations.items()
    ]


def guarded_routes() -> list[Route]:
    return [route for route in all_routes() if (route.method, route.path) not in PUBLIC]
