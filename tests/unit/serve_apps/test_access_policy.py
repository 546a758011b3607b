"""What the written policy says, as rules that hold whatever its rows are."""

from pathlib import Path

import pytest

from models.access import ORG_PERMISSIONS, PROJECT_PERMISSIONS, ROLE_PERMISSIONS, Role
from planvault.auth.principals import PrincipalKind
from planvault.auth.scopes import grants
from planvault.settings import Settings
from serve_apps.access.policy import POLICY, Rule
from serve_apps.access.table import lines, shown_in
from serve_apps.api import assemble
from serve_apps.documents import document_of

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "access.md"
READS = {"GET", "HEAD"}
# A query by POST changes nothing. Whom one has invited is for those who may invite, a file of all that is known of a
# person for those who may ask for it, the tokens of signals for those who may write to the session.
READING_POSTS = {"/api/v1/projects/{projectId}/tools/test-selection"}
GUARDED_READS = {
    "/admin/v1/orgs/{orgId}/invitations",
    "/admin/v1/orgs/{orgId}/gdpr/exports/{exportId}/file",
    "/api/v1/projects/{projectId}/sessions/{sessionId}/signals",
}
OPEN = {
    ("GET", "/health"),
    ("GET", "/api/openapi.json"),
    ("GET", "/api-docs"),
    ("GET", "/api-docs/{name}"),
    ("POST", "/api/v1/projects/{projectId}/callbacks/{tokenId}"),
}
TENANT = [rule for rule in POLICY if rule.permission]


def test_the_document_shows_the_policy_as_it_is() -> None:
    """A changed policy is a changed document, which people review."""
    shown = shown_in(DOCUMENT.read_text(encoding="utf-8"))
    assert shown == lines(), "write it anew: python -m serve_apps.access.table docs/access.md"


def test_what_is_open_to_anybody_is_known_by_name() -> None:
    assert {(rule.method, rule.path) for rule in POLICY if rule.is_open} == OPEN


def test_every_route_of_a_tenant_needs_a_permission() -> None:
    without = [rule.path for rule in POLICY if not rule.permission and not rule.is_open]
    assert all(path.startswith("/api/v1/account") for path in without), without


@pytest.mark.parametrize("rule", TENANT, ids=lambda rule: f"{rule.method} {rule.path}")
def test_reading_asks_for_reading_and_changing_for_more(rule: Rule) -> None:
    reads = rule.permission.endswith(":read")
    if rule.path in READING_POSTS:
        assert reads
    elif rule.path in GUARDED_READS:
        assert not reads
    else:
        assert reads is (rule.method in READS)


@pytest.mark.parametrize("rule", TENANT, ids=lambda rule: f"{rule.method} {rule.path}")
def test_a_routes_permission_is_known_and_its_callers_can_have_it(rule: Rule) -> None:
    assert rule.permission in PROJECT_PERMISSIONS | ORG_PERMISSIONS
    takes_keys = PrincipalKind.PROJECT_KEY in rule.kinds
    assert not takes_keys or rule.permission in PROJECT_PERMISSIONS
    assert takes_keys is rule.path.startswith("/api/v1/projects/")
    assert (PrincipalKind.ADMIN in rule.kinds) is rule.path.startswith("/admin/")
    assert any(grants(held, rule.permission) for held in ROLE_PERMISSIONS.values())


def test_each_role_has_what_the_one_below_has_and_more() -> None:
    everything = PROJECT_PERMISSIONS | ORG_PERMISSIONS
    held = {role: {one for one in everything if grants(ROLE_PERMISSIONS[role], one)} for role in Role}
    assert held[Role.OWNER] == everything
    for above, below in zip(list(Role), list(Role)[1:], strict=False):
        assert held[above] > held[below]
        assert above.covers(below)
        assert not below.covers(above)


def test_a_member_changes_nothing_that_is_not_their_own_work() -> None:
    changing = {one for one in ORG_PERMISSIONS if not one.endswith(":read")}
    assert not [one for one in changing if grants(ROLE_PERMISSIONS[Role.MEMBER], one)]


def test_only_owners_may_end_an_organisation_or_switch_its_learning() -> None:
    beyond_admin = {one for one in ORG_PERMISSIONS if not grants(ROLE_PERMISSIONS[Role.ADMIN], one)}
    assert beyond_admin == {"hrn:org:delete", "hrn:org:routing:write"}


def test_a_developer_decides_about_no_person_and_no_credential() -> None:
    held = {one for one in ORG_PERMISSIONS if grants(ROLE_PERMISSIONS[Role.DEVELOPER], one)}
    assert not held & {f"hrn:org:{what}:write" for what in ("members", "keys", "tokens", "settings", "privacy")}


def test_the_openapi_document_says_what_each_call_needs() -> None:
    paths = document_of(assemble(Settings()))["paths"]
    said = {
        (method.upper(), path): operation.get("x-permission", "")
        for path, operations in paths.items()
        for method, operation in operations.items()
    }
    assert said == {(rule.method, rule.path): rule.permission for rule in POLICY if (rule.method, rule.path) in said}
    assert len(said) > len(TENANT)
