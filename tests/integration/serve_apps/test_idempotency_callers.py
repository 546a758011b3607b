"""An Idempotency-Key is its caller's: nobody else hears the answer, which may hold the text of a new key."""

import httpx
import pytest

from planvault.storage.tenancy import within
from tests.integration.serve_apps.conftest import ObservedDeps, Tenant, client_for, open_session
from tests.integration.serve_apps.test_service_tokens import bearer, create

pytestmark = pytest.mark.postgres

REUSED = "urn:planvault:problem:IDEMPOTENCY_KEY_REUSED"
ONCE = {"Idempotency-Key": "k"}


async def test_a_new_key_s_text_is_told_to_nobody_who_repeats_the_request(
    admin: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant
) -> None:
    url, body = f"{tenant.admin}/projects/{tenant.scope.project_id}/keys", {"name": "app", "scopes": ["hrn:project:*"]}
    one, other = await create(admin, tenant, "one"), await create(admin, tenant, "other")
    async with client_for(deps, bearer(one)) as maker, client_for(deps, bearer(other)) as repeater:
        first = await maker.post(url, json=body, headers=ONCE)
        assert first.status_code == 201
        for stranger in (repeater, admin):
            refused = await stranger.post(url, json=body, headers=ONCE)
            assert (refused.status_code, refused.json()["type"]) == (422, REUSED)
            assert first.json()["key"] not in refused.text
        assert (await maker.post(url, json=body, headers=ONCE)).content == first.content


async def test_claiming_the_maker_s_name_does_not_help(
    admin: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant
) -> None:
    url, body = f"{tenant.admin}/service-tokens", {"name": "ci", "role": "ADMIN"}
    headers = {**ONCE, "X-Operator-Id": "ada@example.com"}
    service = await create(admin, tenant, "one")
    keys = f"{tenant.admin}/projects/{tenant.scope.project_id}/keys"
    wanted = {"name": "app", "scopes": ["hrn:project:*"]}
    assert (await admin.post(url, json=body, headers=headers)).status_code == 201
    first = await admin.post(keys, json=wanted, headers=headers)
    assert first.status_code == 201
    async with client_for(deps, bearer(service)) as claims:
        assert (await claims.post(keys, json=wanted, headers=headers)).json()["type"] == REUSED


async def test_a_rotated_key_repeats_its_own_requests(
    client: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant
) -> None:
    """Rotation is under the same id: a request whose answer was lost meanwhile is still done once."""
    session = await open_session(deps, client, tenant)
    url = f"{tenant.base}/sessions/{session.scope.session_id}/messages"
    first = await client.post(url, json={"message": "hi"}, headers=ONCE)
    [primary] = await deps.api_keys.all(tenant.scope)
    async with within(deps.pool, tenant.scope) as connection:
        _, text = await deps.api_keys.rotate(tenant.scope, primary.id, connection)
    async with client_for(deps, {"Authorization": f"Bearer {text.text}"}) as rotated:
        assert (await rotated.post(url, json={"message": "hi"}, headers=ONCE)).content == first.content


async def test_two_keys_of_a_project_are_two_callers(
    client: httpx.AsyncClient, deps: ObservedDeps, tenant: Tenant
) -> None:
    session = await open_session(deps, client, tenant)
    url = f"{tenant.base}/sessions/{session.scope.session_id}/messages"
    assert (await client.post(url, json={"message": "hi"}, headers=ONCE)).status_code == 202
    _, text = await deps.api_keys.create(tenant.scope, "scoped", ["hrn:project:session:write"])
    async with client_for(deps, {"Authorization": f"Bearer {text.text}"}) as other:
        assert (await other.post(url, json={"message": "hi"}, headers=ONCE)).json()["type"] == REUSED
