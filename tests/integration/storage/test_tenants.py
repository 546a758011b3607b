import asyncio
from uuid import UUID

import pytest

from models.ids import OrgId, ProjectId
from models.policies import EgressPolicy, OrgSettings, PlanApprovalMode, ProjectSettings
from models.tenants import OrgScope, ProjectScope
from planvault.clock import TimeOrderedIds
from planvault.errors import Conflict, InvalidInput, NotFound
from planvault.storage.pool import Pool
from planvault.storage.tenants import Tenants

pytestmark = pytest.mark.postgres


@pytest.fixture
def tenants(pool: Pool) -> Tenants:
    return Tenants(pool, TimeOrderedIds())


async def new_project(tenants: Tenants, name: str = "p") -> ProjectScope:
    org = await tenants.create_organization("Acme")
    project = await tenants.create_project(OrgScope(org_id=org.id), name)
    return ProjectScope(org_id=org.id, project_id=project.id)


async def test_settings_come_back_as_they_were_given(tenants: Tenants) -> None:
    egress = EgressPolicy(allow_loopback=True, allow_hosts=("*.example.com",))
    org = await tenants.create_organization("Acme", OrgSettings(egress=egress))
    project_settings = ProjectSettings(plan_approval_mode=PlanApprovalMode.AUTO, planner_model="openai/x")
    project = await tenants.create_project(OrgScope(org_id=org.id), "p", project_settings)
    assert (await tenants.organization(OrgScope(org_id=org.id))).settings.egress == egress
    scope = ProjectScope(org_id=org.id, project_id=project.id)
    assert (await tenants.project(scope)).settings == project_settings


async def test_a_new_organisation_allows_public_addresses_only(tenants: Tenants) -> None:
    org = await tenants.create_organization("Acme")
    assert org.settings.egress == EgressPolicy()
    assert not org.settings.egress.allow_loopback


async def test_changes_that_meet_are_both_kept(pool: Pool, tenants: Tenants) -> None:
    scope = await new_project(tenants)
    async with pool.acquire() as other, other.transaction():
        settings = ProjectSettings(retrieval_max_tools=7).model_dump(mode="json")
        await other.execute("UPDATE projects SET settings = $2 WHERE id = $1", scope.project_id, settings)
        late = asyncio.create_task(
            tenants.change_project(scope, lambda old: old.model_copy(update={"planner_model": "m"}))
        )
        async with asyncio.timeout(2.5):  # below the lock timeout
            while not await pool.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
                continue
    await late
    changed = (await tenants.project(scope)).settings
    assert (changed.retrieval_max_tools, changed.planner_model) == (7, "m")


async def test_an_organisations_settings_can_be_changed(tenants: Tenants) -> None:
    scope = OrgScope(org_id=(await tenants.create_organization("Acme")).id)
    await tenants.change_organization(scope, lambda _: OrgSettings(egress=EgressPolicy(allow_private=True)))
    assert (await tenants.organization(scope)).settings.egress.allow_private


async def test_a_project_of_another_organisation_does_not_exist(tenants: Tenants) -> None:
    mine, theirs = await new_project(tenants), await new_project(tenants)
    crossed = ProjectScope(org_id=mine.org_id, project_id=theirs.project_id)
    with pytest.raises(NotFound):
        await tenants.project(crossed)
    with pytest.raises(NotFound):
        await tenants.change_project(crossed, lambda old: old)
    assert [project.id for project in await tenants.projects(OrgScope(org_id=mine.org_id))] == [mine.project_id]


async def test_project_names_are_unique_in_an_organisation_only(tenants: Tenants) -> None:
    scope = await new_project(tenants, "same")
    await new_project(tenants, "same")
    with pytest.raises(Conflict, match="same"):
        await tenants.create_project(scope, "same")


async def test_what_is_not_there_is_not_found(tenants: Tenants) -> None:
    nowhere = OrgScope(org_id=OrgId(UUID(int=1)))
    with pytest.raises(NotFound):
        await tenants.organization(nowhere)
    with pytest.raises(NotFound):
        await tenants.create_project(nowhere, "p")
    with pytest.raises(NotFound):
        await tenants.change_organization(nowhere, lambda old: old)
    with pytest.raises(NotFound):
        await tenants.project(ProjectScope(org_id=nowhere.org_id, project_id=ProjectId(UUID(int=2))))


@pytest.mark.parametrize("name", ["", " ", " x", "x\n", "a\x00b", "\ud800", "x" * 201])
async def test_a_name_that_nobody_could_read_is_refused(tenants: Tenants, name: str) -> None:
    scope = await new_project(tenants)
    with pytest.raises(InvalidInput) as refused:
        await tenants.create_project(scope, name)
    assert refused.value.errors[0].pointer == "/name"
    with pytest.raises(InvalidInput):
        await tenants.create_organization(name)
