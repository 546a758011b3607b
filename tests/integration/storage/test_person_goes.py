"""A person of the staff goes with their erasure, unless an organisation has them; or takes them in at that moment."""

import asyncio

from models.access import Role
from planvault.storage.pool import Pool
from planvault.storage.tenancy import within
from tests.integration.storage.test_members import new_org


async def test_a_person_who_joins_while_they_are_erased_elsewhere_stays(pool: Pool) -> None:
    """Else the erasure of one organisation would end the membership in another."""
    org = await new_org(pool)
    user = await org.signed_in("ada")
    async with within(pool, org.scope) as joining:
        await joining.execute(
            "INSERT INTO members (org_id, user_id, role) VALUES ($1, $2, 'OWNER')", org.scope.org_id, user.id
        )
        erasure = asyncio.create_task(pool.fetchval("SELECT person_goes($1)", user.id))
        async with asyncio.timeout(10):
            while not await pool.fetchval(
                "SELECT EXISTS (SELECT FROM pg_stat_activity "
                "WHERE wait_event_type = 'Lock' AND query LIKE '%person_goes(%')"
            ):
                await asyncio.sleep(0.01)
    assert await erasure is False
    assert await org.members.role_of(org.scope.org_id, user.id) is Role.OWNER
