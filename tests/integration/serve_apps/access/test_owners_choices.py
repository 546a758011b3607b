"""What is the owners' alone stays theirs, whichever route could change it; no permission is there for nothing."""

from collections.abc import AsyncIterator

import httpx
import pytest

from models.access import ORG_DELETE, ORG_PERMISSIONS, PROJECT_PERMISSIONS
from serve_apps.access.policy import POLICY
from tests.integration.serve_apps.access.cast import World, make_world
from tests.integration.serve_apps.conftest import ObservedDeps, application

OFF = {"retrieval": {"routingCache": False, "routingCacheMinUsers": 3}}


@pytest.fixture
async def world(deps: ObservedDeps) -> World:
    return await make_world(deps)


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=application(world.deps)), base_url="http://api"
    ) as client:
        yield client


async def test_nobody_below_owner_switches_learning_through_the_settings(http: httpx.AsyncClient, world: World) -> None:
    url = f"/admin/v1/orgs/{world.home.org_id}/settings"
    owner, admin = world.cast["person owner"].headers, world.cast["person admin"].headers
    assert (await http.put(url, json=OFF, headers=owner)).status_code == 200
    for body in (
        {},
        {"retrieval": {"routingCache": True, "routingCacheMinUsers": 3}},
        {"retrieval": {"routingCache": False}},
    ):
        for who in (admin, world.cast["service admin"].headers):
            refused = await http.put(url, json=body, headers=who)
            assert refused.status_code == 403, body
            assert "hrn:org:routing:write" in refused.json()["detail"]
    kept = await http.put(url, json=OFF | {"retention": {"sessionsDays": 30}}, headers=admin)
    assert kept.status_code == 200
    assert kept.json()["retrieval"]["routingCache"] is False


def test_every_permission_is_asked_for_by_a_route() -> None:
    asked_by_a_body = {ORG_DELETE}
    asked = {rule.permission for rule in POLICY} - {""} | asked_by_a_body
    assert asked == ORG_PERMISSIONS | PROJECT_PERMISSIONS
