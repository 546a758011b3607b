"""An organisation ends by its OWNER's own word, over the API: shut at once, gone for good when its time has come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from models.access import Role
from planvault.clock import TimeOrderedIds
from planvault.crypto.assembly import key_providers
from planvault.errors import DecryptionFailed, NotFound
from planvault.storage.keys import PostgresKeyring
from planvault.storage.org_deletion import OrganizationPurge
from planvault.storage.pool import Pool, open_pool
from planvault.storage.pool import Role as Login
from planvault.storage.sealed import COLUMNS
from serve_apps.superadmin.app import create_superadmin
from serve_apps.superadmin.parts import open_platform
from tests.integration.serve_apps.access.cast import World, make_world
from tests.integration.serve_apps.conftest import (
    ADMIN,
    ObservedDeps,
    Tenant,
    client_for,
    make_tenant,
)
from tests.integration.serve_apps.privacy import TEXTS, leaves_everything

pytestmark = pytest.mark.postgres
NAME = "an organisation"
ENDS = {"target": "organization", "confirm": NAME}


@pytest.fixture
async def operator(deps: ObservedDeps) -> AsyncIterator[httpx.AsyncClient]:
    async with open_platform(deps.settings, deps.commands) as platform:
        transport = httpx.ASGITransport(app=create_superadmin(deps, platform))
        headers = {"Authorization": f"Bearer {ADMIN.text}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://operators", headers=headers) as client:
            yield client


@pytest.fixture
async def platform(deps: ObservedDeps) -> AsyncIterator[Pool]:
    async with await open_pool(deps.settings.platform_url, name="purge", maximum=2, role=Login.PLATFORM) as pool:
        yield pool


def place(tenant: Tenant) -> str:
    return f"/superadmin/v1/orgs/{tenant.scope.org_id}"


async def test_an_owner_ends_their_organisation_and_whoever_runs_the_installation_can_undo_it(
    deps: ObservedDeps, admin: httpx.AsyncClient, tenant: Tenant, operator: httpx.AsyncClient
) -> None:
    answer = await admin.post(f"{tenant.admin}/gdpr/erasures", json=ENDS)
    assert answer.status_code == 202, answer.text
    made = answer.json()
    assert (made["target"], made["state"]) == ("organization", "queued")
    told = (await operator.get(f"{place(tenant)}/deletion")).json()
    assert (told["purgeAfter"], told["requestedBy"]) == (made["purgeAfter"], "admin-token")
    assert told["purgedAt"] is None
    assert not await deps.members.organization_exists(tenant.scope.org_id)
    assert await deps.api_keys.find(tenant.key.sha256) is None
    assert (await operator.post(f"{place(tenant)}/restore")).status_code == 200
    back = (await admin.get(f"{tenant.admin}/gdpr/erasures/{made['id']}")).json()
    assert (back["state"], back["purgeAfter"]) == ("cancelled", None)
    rows = (await admin.get(f"{tenant.admin}/audit")).json()["items"]
    assert [row["action"] for row in rows][:3] == [
        "ORGANIZATION_RESTORED",
        "ORGANIZATION_DELETED",
        "GDPR_ERASURE_REQUESTED",
    ]
    assert (await admin.get(f"{tenant.admin}/audit/verify")).json()["ok"]


async def test_at_once_means_that_nothing_opens_and_nothing_is_left(
    deps: ObservedDeps,
    client: httpx.AsyncClient,
    admin: httpx.AsyncClient,
    tenant: Tenant,
    operator: httpx.AsyncClient,
    platform: Pool,
) -> None:
    await leaves_everything(deps, client, tenant)
    answer = await admin.post(f"{tenant.admin}/gdpr/erasures", json=ENDS | {"immediately": True})
    assert answer.status_code == 202, answer.text
    assert (await operator.post(f"{place(tenant)}/restore")).status_code == 409
    assert await OrganizationPurge(platform, rest=0, settled_after=timedelta()).once()
    assert await decrypted(deps, tenant) == []
    told = (await operator.get(f"{place(tenant)}/deletion")).json()
    assert told["purgedAt"] is not None
    assert told["keysDestroyed"] >= 3
    assert told["gone"]["sessions"] == 1
    assert told["auditUntil"] is not None
    assert (await operator.get(place(tenant))).status_code == 404
    for table in await deps.database.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        rows = await deps.database.fetch(f"SELECT t::text AS row FROM {table['tablename']} t")
        for row in rows:
            assert not any(text in row["row"] for text in TEXTS), table["tablename"]


async def decrypted(deps: ObservedDeps, tenant: Tenant) -> list[str]:
    """What of the organisation still opens with any key that is left. Its audit log's rows are there, and do not."""
    keyring = PostgresKeyring(deps.database, key_providers(deps.settings), TimeOrderedIds())
    with pytest.raises(NotFound):
        await keyring.cipher(tenant.scope.org_id)
    other = await make_tenant(deps)
    cipher = await keyring.cipher(other.scope.org_id)
    found, seen = [], 0
    for column in COLUMNS:
        for row in await deps.database.fetch(column.page, tenant.scope.org_id, None, [], 10_000):
            for spot in column.places(row) if row["sealed"] else ():
                seen += 1
                try:
                    found.append(f"{column.name}: {cipher.open(row['sealed'], spot)!r}")
                except DecryptionFailed:
                    continue
    assert seen, "the audit log stays, as evidence"
    return found


async def test_a_name_that_is_not_the_organisations_ends_nothing(
    deps: ObservedDeps, admin: httpx.AsyncClient, tenant: Tenant
) -> None:
    body = ENDS | {"confirm": "another organisation", "immediately": True}
    assert (await admin.post(f"{tenant.admin}/gdpr/erasures", json=body)).status_code == 409
    assert await deps.members.organization_exists(tenant.scope.org_id)
    assert (await admin.get(f"{tenant.admin}/gdpr/erasures")).json()["items"] == []


async def test_only_an_owner_may_and_only_one_who_still_is(deps: ObservedDeps) -> None:
    world = await make_world(deps)
    path = f"/admin/v1/orgs/{world.home.org_id}/gdpr/erasures"

    async def asked(who: str) -> httpx.Response:
        async with client_for(world.deps, world.cast[who].headers) as http:
            return await http.post(path, json=ENDS)

    for who in ("person admin", "service admin", "person developer", "key with everything"):
        refused = await asked(who)
        assert refused.status_code == 403, who
    assert (await asked("person owner-elsewhere")).status_code == 404
    assert await warmed(world, path) == 200
    await deps.database.execute(
        "UPDATE members SET role = 'ADMIN' WHERE org_id = $1 AND role = 'OWNER'", world.home.org_id
    )
    assert (await asked("person owner")).status_code == 403, "what the gate remembers is seconds old"
    await deps.database.execute(
        "UPDATE members SET role = $2 WHERE org_id = $1 AND role = 'ADMIN'", world.home.org_id, Role.OWNER.value
    )
    assert await deps.members.organization_exists(world.home.org_id)
    assert (await asked("person owner")).status_code == 202
    assert not await deps.members.organization_exists(world.home.org_id)


async def warmed(world: World, path: str) -> int:
    async with client_for(world.deps, world.cast["person owner"].headers) as http:
        return (await http.get(path)).status_code
