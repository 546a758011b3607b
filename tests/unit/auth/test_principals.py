from uuid import UUID

import pytest

from models.ids import OrgId, ProjectId
from planvault.auth.principals import Principal, PrincipalKind
from planvault.auth.scopes import SESSION_CREATE, TOOLS_READ
from planvault.errors import NotAllowed, NotFound

ORG, PROJECT, ELSEWHERE = OrgId(UUID(int=1)), ProjectId(UUID(int=2)), ProjectId(UUID(int=3))
KEY = Principal(PrincipalKind.PROJECT_KEY, "key:ci", ORG, PROJECT, scopes=(SESSION_CREATE,))
ADMIN = Principal(PrincipalKind.ADMIN, "admin-token")


def test_a_key_works_on_its_own_project_with_its_own_scopes() -> None:
    scope = KEY.in_project(PROJECT, SESSION_CREATE)
    assert (scope.org_id, scope.project_id) == (ORG, PROJECT)


def test_a_key_without_the_scope_is_not_allowed() -> None:
    with pytest.raises(NotAllowed, match=TOOLS_READ):
        KEY.in_project(PROJECT, TOOLS_READ)


def test_another_project_does_not_exist_for_a_key_whatever_its_scopes() -> None:
    for wanted in (SESSION_CREATE, TOOLS_READ):
        with pytest.raises(NotFound):
            KEY.in_project(ELSEWHERE, wanted)


def test_a_project_key_administers_nothing_not_even_its_own_organisation() -> None:
    with pytest.raises(NotAllowed):
        KEY.administers(ORG)


def test_the_admin_token_is_for_the_admin_api_only() -> None:
    assert ADMIN.administers(ORG).org_id == ORG
    with pytest.raises(NotAllowed):
        ADMIN.in_project(PROJECT, SESSION_CREATE)
