"""The order of the questions, and what each kind of caller is asked."""

from uuid import UUID

import pytest

from models.access import KEYS_WRITE, MEMBERS_READ, ROLE_PERMISSIONS, SESSION_CREATE, TOOLS_WRITE, Role
from models.ids import KeyId, OrgId, ProjectId, UserId
from models.tenants import OrgScope, ProjectScope
from planvault.auth.permissions import decide, holds
from planvault.auth.principals import Principal, PrincipalKind, admin_token, project_key, service
from planvault.auth.tenancy import CACHE_S, CachedTenancy
from planvault.errors import NotAllowed, NotFound

ORG, AWAY, NO_ORG = (OrgId(UUID(int=number)) for number in (1, 2, 3))
PROJECT, THEIRS, NO_PROJECT = (ProjectId(UUID(int=number)) for number in (4, 5, 6))
ADA, EVE = UserId(UUID(int=7)), UserId(UUID(int=8))
ALL = frozenset(PrincipalKind)


class Tenants:
    """Counts what it is asked, and can be changed under the cache."""

    def __init__(self) -> None:
        self.orgs = {ORG, AWAY}
        self.owners = {PROJECT: ORG, THEIRS: AWAY}
        self.roles = {(ORG, ADA): Role.ADMIN, (AWAY, EVE): Role.OWNER}
        self.asked = 0

    async def organization_exists(self, org_id: OrgId) -> bool:
        self.asked += 1
        return org_id in self.orgs

    async def organization_of(self, project_id: ProjectId) -> OrgId | None:
        self.asked += 1
        return self.owners.get(project_id)

    async def role_of(self, org_id: OrgId, user_id: UserId) -> Role | None:
        self.asked += 1
        return self.roles.get((org_id, user_id))


def key(*scopes: str) -> Principal:
    return project_key(KeyId(UUID(int=9)), ORG, PROJECT, "ci", scopes)


def person(user_id: UserId) -> Principal:
    return Principal(PrincipalKind.USER, actor="p", user_id=user_id)


async def test_a_key_is_judged_without_asking_the_database() -> None:
    tenants = Tenants()
    granted = await decide(key("hrn:project:*"), SESSION_CREATE, ALL, tenants, project_id=PROJECT)
    assert granted.scope == ProjectScope(org_id=ORG, project_id=PROJECT)
    assert (tenants.asked, granted.role) == (0, None)


async def test_a_wrong_kind_is_told_so_before_anything_of_a_tenant_is_looked_at() -> None:
    tenants = Tenants()
    kinds = frozenset({PrincipalKind.USER, PrincipalKind.SERVICE})
    for org_id in (ORG, AWAY, NO_ORG):
        with pytest.raises(NotAllowed, match="signed-in person's token or a service token"):
            await decide(key("hrn:project:*"), MEMBERS_READ, kinds, tenants, org_id=org_id)
    assert tenants.asked == 0


async def test_what_a_caller_lacks_elsewhere_is_never_told() -> None:
    """404 before 403: whether an organisation is there must not be learnt from the refusal."""
    for caller in (key(), person(ADA), service(UUID(int=1), ORG, "s", Role.MEMBER)):
        for project_id in (THEIRS, NO_PROJECT):
            with pytest.raises(NotFound):
                await decide(caller, KEYS_WRITE, ALL, Tenants(), project_id=project_id)
    for caller in (person(ADA), service(UUID(int=1), ORG, "s", Role.MEMBER)):
        for org_id in (AWAY, NO_ORG):
            with pytest.raises(NotFound):
                await decide(caller, KEYS_WRITE, ALL, Tenants(), org_id=org_id)


async def test_a_project_is_only_there_under_its_own_organisation() -> None:
    for caller in (admin_token(), person(ADA), key("hrn:project:*")):
        with pytest.raises(NotFound):
            await decide(caller, SESSION_CREATE, ALL, Tenants(), org_id=ORG, project_id=THEIRS)
    with pytest.raises(NotFound):
        await decide(key("hrn:project:*"), SESSION_CREATE, ALL, Tenants(), org_id=AWAY, project_id=PROJECT)
    with pytest.raises(NotFound):
        await decide(key("hrn:project:*"), SESSION_CREATE, ALL, Tenants(), org_id=ORG)


async def test_a_person_has_in_each_organisation_the_role_that_they_have_there() -> None:
    tenants = Tenants()
    granted = await decide(person(ADA), KEYS_WRITE, ALL, tenants, org_id=ORG)
    assert (granted.scope, granted.role) == (OrgScope(org_id=ORG), Role.ADMIN)
    tenants.roles[ORG, ADA] = Role.MEMBER
    with pytest.raises(NotAllowed, match="MEMBER lacks the permission hrn:org:keys:write"):
        await decide(person(ADA), KEYS_WRITE, ALL, tenants, org_id=ORG)
    granted = await decide(person(ADA), SESSION_CREATE, ALL, tenants, project_id=PROJECT)
    assert granted.scope == ProjectScope(org_id=ORG, project_id=PROJECT)
    with pytest.raises(NotAllowed):
        await decide(person(ADA), TOOLS_WRITE, ALL, tenants, project_id=PROJECT)


async def test_the_admin_token_is_everywhere_that_is() -> None:
    assert (await decide(admin_token(), KEYS_WRITE, ALL, Tenants(), org_id=AWAY)).role is Role.OWNER
    with pytest.raises(NotFound):
        await decide(admin_token(), KEYS_WRITE, ALL, Tenants(), org_id=NO_ORG)


@pytest.mark.parametrize("pattern", ["*", "hrn:*", "hrn:*:*", "hrn:org:*", "hrn:org:keys:write", "hrn:*:keys:write"])
def test_no_pattern_lets_a_key_reach_the_organisation_or_beyond_what_it_may_hold(pattern: str) -> None:
    for permission in (KEYS_WRITE, MEMBERS_READ, SESSION_CREATE):
        assert not holds(key(pattern), None, permission)
        assert not holds(key(pattern), Role.OWNER, permission)


def test_without_a_role_nothing_is_held() -> None:
    for permission in ROLE_PERMISSIONS[Role.MEMBER]:
        assert not holds(person(ADA), None, permission)


async def test_what_was_looked_up_is_believed_for_less_than_the_promise() -> None:
    now = 0.0
    tenants = Tenants()
    cached = CachedTenancy(tenants, elapsed=lambda: now)
    for _ in range(3):
        await decide(person(ADA), KEYS_WRITE, ALL, cached, org_id=ORG, project_id=PROJECT)
    assert tenants.asked == 2
    del tenants.roles[ORG, ADA]
    tenants.orgs.clear()
    tenants.owners.clear()
    now = CACHE_S - 0.01
    await decide(person(ADA), KEYS_WRITE, ALL, cached, org_id=ORG, project_id=PROJECT)
    now = CACHE_S
    with pytest.raises(NotFound):
        await decide(person(ADA), KEYS_WRITE, ALL, cached, org_id=ORG)
    with pytest.raises(NotFound):
        await decide(admin_token(), KEYS_WRITE, ALL, cached, org_id=ORG)
    assert CACHE_S < 5


async def test_an_answer_is_as_old_as_its_question() -> None:
    """A look-up that takes long must not be believed from its end on: the row may have changed meanwhile."""
    now = 0.0

    class Slow(Tenants):
        async def role_of(self, org_id: OrgId, user_id: UserId) -> Role | None:
            nonlocal now
            found = await super().role_of(org_id, user_id)
            now += 3
            return found

    tenants = Slow()
    cached = CachedTenancy(tenants, elapsed=lambda: now)
    await cached.role_of(ORG, ADA)
    now += 1.5
    await cached.role_of(ORG, ADA)
    assert tenants.asked == 2


async def test_what_is_not_there_is_asked_again_and_not_remembered() -> None:
    tenants = Tenants()
    cached = CachedTenancy(tenants, elapsed=lambda: 0.0)
    for _ in range(2):
        assert not await cached.organization_exists(NO_ORG)
        assert await cached.organization_of(NO_PROJECT) is None
        assert await cached.role_of(ORG, EVE) is None
    assert tenants.asked == 6
    tenants.orgs.add(NO_ORG)
    assert await cached.organization_exists(NO_ORG)
