"""What a request counts for: the caller and the organisation, whatever is asked, and some routes for more."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from uuid import UUID

from models.rate_limits import LimitName, Quota, RateLimits
from planvault.auth.permissions import Granted
from planvault.auth.principals import PrincipalKind
from serve_apps.access.policy import ADMIN, RUNTIME
from serve_apps.limits.meter import Wanted

_IMPORT = (LimitName.KEY_IMPORTS, LimitName.ORGANIZATION_IMPORTS)
_EXPORT = (LimitName.KEY_EXPORTS, LimitName.ORGANIZATION_EXPORTS)
_SELECTION = (LimitName.KEY_SELECTIONS, LimitName.ORGANIZATION_SELECTIONS)

COSTLY: Mapping[tuple[str, str], tuple[LimitName, LimitName]] = MappingProxyType(
    {
        ("POST", ADMIN + "/tools"): _IMPORT,
        ("PUT", ADMIN + "/tools/{toolId}"): _IMPORT,
        ("POST", ADMIN + "/bulk-imports"): _IMPORT,
        ("POST", ADMIN + "/bulk-imports/{importId}/start"): _IMPORT,
        ("POST", RUNTIME + "/tools/test-selection"): _SELECTION,
        ("POST", ADMIN + "/gdpr/exports"): _EXPORT,
        ("GET", ADMIN + "/gdpr/exports/{exportId}/file"): _EXPORT,
        ("GET", ADMIN + "/audit/export"): _EXPORT,
        ("GET", ADMIN + "/audit/verify"): _EXPORT,
    }
)
"""Routes that cost more than others, by method and path of the access policy: the caller's and the organisation's."""

CHAT = ("GET", RUNTIME + "/sessions/{sessionId}/chat")


def wanted(
    granted: Granted, route: tuple[str, str], deployment: Mapping[LimitName, Quota], choices: RateLimits
) -> list[Wanted]:
    """All that the request must fit in; `choices`: the organisation's.

    The operator's token is held by its own limits alone: a tenant that has used up the organisation's must not keep
    the operator out.
    """
    own, shared = [LimitName.KEY_REQUESTS], [LimitName.ORGANIZATION_REQUESTS]
    if (costly := COSTLY.get(route)) is not None:
        own.append(costly[0])
        shared.append(costly[1])
    principal = granted.principal
    key_id: UUID | None = principal.key_id
    holder = principal.holder
    if route == CHAT:
        own.append(LimitName.KEY_STREAMS)
    found = [Wanted(name, subject(name, holder), choices.quota(name, key_id) or deployment[name]) for name in own]
    if granted.scope is not None and principal.kind is not PrincipalKind.ADMIN:
        org = str(granted.scope.org_id)
        found += [Wanted(name, subject(name, org), choices.quota(name, None) or deployment[name]) for name in shared]
    return found


def subject(name: LimitName, whose: str) -> bytes:
    """The bucket's name: the same on every replica, and 16 bytes whatever a stranger sends."""
    return hashlib.blake2b(f"{name}\n{whose}".encode("utf-8", "surrogateescape"), digest_size=16).digest()
