import asyncio
from dataclasses import replace

import pytest

from models.tenants import OrgScope, ProjectScope
from planvault.auth.authenticator import Authenticator
from planvault.clock import TimeOrderedIds
from planvault.storage.api_keys import ApiKeys
from planvault.storage.bootstrap import TenantCredentials, ensure_default_tenant
from planvault.storage.pool import Pool, open_pool
from planvault.storage.tenants import Tenants

pytestmark = pytest.mark.postgres
IDS = TimeOrderedIds()


@pytest.fixture(autouse=True)
async def fresh(pool: Pool) -> None:
    await pool.execute("TRUNCATE organizations CASCADE")


async def works(pool: Pool, credentials: TenantCredentials) -> bool:
    principal = await Authenticator(ApiKeys(pool, IDS), "").authenticate(f"Bearer {credentials.project_key}")
    return principal.project_id == credentials.project_id and principal.scopes == ("hrn:project:*",)


async def test_the_first_start_makes_a_tenant_whose_key_works_and_that_may_reach_loopback(pool: Pool) -> None:
    made = await ensure_default_tenant(pool, IDS)
    assert await works(pool, made)
    org = await Tenants(pool, IDS).organization(OrgScope(org_id=made.org_id))
    assert org.settings.egress.allow_loopback
    assert not org.settings.egress.allow_private


async def test_a_later_start_changes_nothing(pool: Pool) -> None:
    made = await ensure_default_tenant(pool, IDS)
    assert await ensure_default_tenant(pool, IDS, made) == made
    assert await pool.fetchval("SELECT count(*) FROM api_keys") == 1
    assert await pool.fetchval("SELECT count(*) FROM organizations") == 1


async def test_lost_credentials_give_a_further_key_and_leave_other_holders_theirs(pool: Pool) -> None:
    lost = await ensure_default_tenant(pool, IDS)
    again = await ensure_default_tenant(pool, IDS)
    assert (again.org_id, again.project_id) == (lost.org_id, lost.project_id)
    assert again.project_key != lost.project_key
    assert await works(pool, again)
    assert await works(pool, lost)


async def test_credentials_of_another_database_or_a_revoked_key_are_replaced(pool: Pool) -> None:
    made = await ensure_default_tenant(pool, IDS)
    foreign = replace(made, project_key="sk_live_of-another-database")
    assert await works(pool, await ensure_default_tenant(pool, IDS, foreign))

    keys, scope = ApiKeys(pool, IDS), ProjectScope(org_id=made.org_id, project_id=made.project_id)
    for key in await keys.all(scope):
        await keys.revoke(scope, key.id)
    renewed = await ensure_default_tenant(pool, IDS, made)
    assert await works(pool, renewed)
    assert [key.is_primary for key in await keys.all(scope) if key.revoked_at is None] == [True]


async def test_starts_that_meet_make_one_tenant(pool: Pool, database_url: str) -> None:
    several = await open_pool(database_url, name="test-starts", minimum=4, maximum=4)  # all connected: they do meet
    try:
        made = await asyncio.gather(*(ensure_default_tenant(several, IDS) for _ in range(4)))
    finally:
        await several.close()
    assert len({(each.org_id, each.project_id) for each in made}) == 1
    assert [await works(pool, each) for each in made] == [True] * 4


async def test_credentials_do_not_show_their_key(pool: Pool) -> None:
    made = await ensure_default_tenant(pool, IDS)
    assert made.project_key not in f"{made} {made!r}"
