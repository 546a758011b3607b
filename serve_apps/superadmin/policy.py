"""The written policy of the operators' API, as serve_apps.access.policy is that of the public one.

Every route takes an operator: the static admin token where it is not refused, or a person whom the issuer's claim or
the operator list of the settings names. That is checked in front of all of them (serve_apps.superadmin.app).
"""

from __future__ import annotations

from planvault.auth.principals import PrincipalKind
from serve_apps.access.policy import Rule

PREFIX = "/superadmin/v1"
# Not {orgId}: the gate would ask for a place in that organisation, which operators have none of.
ORGANIZATION = PREFIX + "/orgs/{organizationId}"
OPERATORS = frozenset({PrincipalKind.ADMIN, PrincipalKind.USER})

POLICY: tuple[Rule, ...] = (
    Rule("GET", PREFIX + "/health", OPERATORS),
    Rule("POST", PREFIX + "/orgs", OPERATORS),
    Rule("GET", PREFIX + "/orgs", OPERATORS),
    Rule("GET", ORGANIZATION, OPERATORS),
    Rule("PATCH", ORGANIZATION, OPERATORS),
    Rule("DELETE", ORGANIZATION, OPERATORS),
    Rule("GET", ORGANIZATION + "/deletion", OPERATORS),
    Rule("POST", ORGANIZATION + "/restore", OPERATORS),
    Rule("POST", ORGANIZATION + "/owner-invitation", OPERATORS),
)
