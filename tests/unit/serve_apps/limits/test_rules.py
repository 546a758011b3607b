"""What a request counts for."""

import re
from uuid import UUID

import pytest

from models.access import Role
from models.ids import KeyId, OrgId, ProjectId
from models.rate_limits import DEFAULT_LIMITS, NO_CHOICES, LimitName
from models.tenants import OrgScope, ProjectScope
from planvault.auth import principals
from planvault.auth.permissions import Granted
from serve_apps.access.policy import POLICY
from serve_apps.limits.rules import CHAT, COSTLY, subject, wanted

ORG, PROJECT = OrgId(UUID(int=1)), ProjectId(UUID(int=2))
KEY = principals.project_key(KeyId(UUID(int=3)), ORG, PROJECT, "k", ("hrn:project:*",))
AT_PROJECT = Granted(KEY, ProjectScope(org_id=ORG, project_id=PROJECT), None)


def names(granted: Granted, route: tuple[str, str]) -> set[LimitName]:
    return {one.name for one in wanted(granted, route, DEFAULT_LIMITS, NO_CHOICES)}


def test_every_costly_route_exists() -> None:
    routes = {(rule.method, rule.path) for rule in POLICY}
    assert set(COSTLY) | {CHAT} <= routes


@pytest.mark.parametrize("rule", POLICY, ids=lambda rule: f"{rule.method} {rule.path}")
def test_what_makes_an_export_or_reads_a_description_is_costly(rule: object) -> None:
    """Of new routes as well: by what their path says."""
    method, path = rule.method, rule.path  # type: ignore[attr-defined]
    exports = re.search(r"(/exports|/audit/(export|verify)|/exports/\{exportId\}/file)$", path)
    makes = method == "POST" or not path.endswith("/exports")
    if exports and makes:
        assert COSTLY[method, path] == (LimitName.KEY_EXPORTS, LimitName.ORGANIZATION_EXPORTS)
    if method == "POST" and re.search(r"/(bulk-imports|orgs/\{orgId\}/tools)$", path):
        assert COSTLY[method, path] == (LimitName.KEY_IMPORTS, LimitName.ORGANIZATION_IMPORTS)


def test_a_stream_counts_as_a_request_and_as_a_stream() -> None:
    assert names(AT_PROJECT, CHAT) == {
        LimitName.KEY_REQUESTS,
        LimitName.KEY_STREAMS,
        LimitName.ORGANIZATION_REQUESTS,
    }


def test_the_operators_token_counts_for_no_organisation() -> None:
    operator = Granted(principals.admin_token(), OrgScope(org_id=ORG), Role.OWNER)
    assert names(operator, ("GET", "/admin/v1/orgs/{orgId}/projects")) == {LimitName.KEY_REQUESTS}


def test_buckets_of_different_limits_and_holders_are_different_ones() -> None:
    made = {subject(name, whose) for name in LimitName for whose in ("a", "b", "", "\udcff", "é" * 10_000)}
    assert len(made) == 5 * len(LimitName)
    assert {len(one) for one in made} == {16}
