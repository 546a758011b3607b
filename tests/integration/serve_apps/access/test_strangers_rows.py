"""Rows of another organisation under one's own path: they are not there. Real handlers, real rows of both sides."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from models.access import Asker, Invitation, Role
from models.tenants import OrgScope
from planvault.storage.pool import Connection
from planvault.storage.tenancy import within
from serve_apps.access import gate
from serve_apps.access.policy import POLICY
from tests.integration.serve_apps.access.cast import World, make_world
from tests.integration.serve_apps.conftest import ObservedDeps, application
from tests.integration.serve_apps.routes import SOME_ID, Route, all_routes

# A deletion of what has no id of its own is no statement about anybody's: names, and one's own account.
NAMED = {"name", "alias"}


@pytest.fixture
async def world(deps: ObservedDeps) -> World:
    return await make_world(deps)


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=application(world.deps), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        yield client


async def rows_of_the_other(world: World, http: httpx.AsyncClient) -> dict[str, str]:
    """Parameter of a path → a row of the other organisation that it could name."""
    deps, away = world.deps, world.away
    key, _ = await deps.api_keys.create(away, "theirs", ["hrn:project:*"])
    session = await http.post(
        f"/api/v1/projects/{away.project_id}/sessions",
        json={},
        headers=world.cast["key of another organisation"].headers,
    )
    assert session.status_code == 201, session.text
    (member, *_) = await deps.members.page(away, None, 1)

    async def told(_: Connection, __: Invitation) -> None: ...

    scope = OrgScope(org_id=away.org_id)
    async with within(deps.pool, scope) as connection:
        asker = Asker(role=Role.OWNER)
        invitation, _ = await deps.invitations.invite(
            scope, "new@example.com", Role.MEMBER, asker, "t", told, connection
        )
        token, _ = await deps.service_tokens.create(
            connection, scope, "theirs", Role.MEMBER, timedelta(days=1), by=Role.OWNER, created_by="t"
        )
    return {
        "keyId": str(key.id),
        "sessionId": session.json()["id"],
        "userId": str(member.user_id),
        "invitationId": str(invitation.id),
        "tokenId": str(token.id),
    }


def guarded() -> list[Route]:
    """Routes that name a row below the organisation or project."""
    kinds = {(rule.method, rule.path): rule.kinds for rule in POLICY}
    return [
        route
        for route in all_routes()
        if kinds[route.method, route.path]
        and set(re.findall(r"\{(\w+)\}", route.path)) - {"orgId", "projectId"} - NAMED
    ]


async def test_another_organisations_rows_are_not_there_for_the_most_powerful(
    http: httpx.AsyncClient, world: World
) -> None:
    theirs = await rows_of_the_other(world, http)
    owner, key = world.cast["person owner"], world.cast["key with everything"]
    found = []
    for route in guarded():
        ids = theirs | {"orgId": str(world.home.org_id), "projectId": str(world.home.project_id)}
        for who in (owner, key) if route.is_runtime else (owner,):
            answer = await http.request(route.method, route.url(**ids), json=route.body, headers=who.headers)
            if answer.status_code != 404:
                found.append(f"{route.method} {route.path} for {who.name}: {answer.status_code} {answer.text[:200]}")
    assert found == []
    assert await still_there(world, theirs)


async def still_there(world: World, theirs: dict[str, str]) -> bool:
    away = world.away
    live = await world.deps.database.fetchval(
        "SELECT (SELECT revoked_at IS NULL FROM api_keys WHERE id = $1)"
        " AND (SELECT revoked_at IS NULL FROM invitations WHERE id = $2)"
        " AND (SELECT revoked_at IS NULL FROM service_tokens WHERE id = $3)"
        " AND (SELECT status = 'active' FROM sessions WHERE id = $4)",
        *(UUID(theirs[name]) for name in ("keyId", "invitationId", "tokenId", "sessionId")),
    )
    return bool(live) and bool(await world.deps.members.page(away, None, 1))


async def test_a_request_that_reaches_another_route_than_it_was_judged_for_gets_no_answer(
    http: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should gate and router ever read a path differently: whatever the gate believes, the handler must not run."""
    match = gate.RouteTable.match
    url = f"/admin/v1/orgs/{world.home.org_id}/members"

    def as_health(self: gate.RouteTable, method: str, path: str) -> object:
        return match(self, "GET", "/health")

    def as_nothing(self: gate.RouteTable, method: str, path: str) -> object:
        return None

    def as_what_everybody_may(self: gate.RouteTable, method: str, path: str) -> object:
        """Of the same organisation, and admitted: only that it is another route tells them apart."""
        return match(self, "GET", f"/admin/v1/orgs/{world.home.org_id}/projects")

    for misread in (as_health, as_nothing, as_what_everybody_may):
        monkeypatch.setattr(gate.RouteTable, "match", misread)
        for who in (world.cast["nobody"], world.cast["person owner"]):
            answer = await http.get(url, headers=who.headers)
            refused_before = misread is as_what_everybody_may and who.name == "nobody"
            assert answer.status_code == (401 if refused_before else 500)
            assert "owner@example.com" not in answer.text
    monkeypatch.undo()
    assert (await http.get(url, headers=world.cast["person owner"].headers)).status_code == 200


@pytest.mark.parametrize("spelling", ["//", "/./", "/%2e/", "/%2F", ";x", "%00", "/", "?x=/health", "#/health"])
async def test_no_spelling_of_a_path_gets_around_the_gate(http: httpx.AsyncClient, world: World, spelling: str) -> None:
    base = f"/admin/v1/orgs/{world.home.org_id}"
    for path in (f"{base}{spelling}members", f"{base}/members{spelling}", f"/{spelling}{base}/members"):
        raw = httpx.Request("GET", "http://api/")
        raw.url = httpx.URL("http://api").copy_with(raw_path=path.partition("#")[0].encode())
        assert (await http.send(raw)).status_code in {401, 404, 405}, path


async def test_a_head_request_is_judged_like_a_get(http: httpx.AsyncClient, world: World) -> None:
    for rule in POLICY:
        if rule.method == "GET" and rule.kinds:
            path = re.sub(r"\{\w+\}", SOME_ID, rule.path)
            assert (await http.head(path)).status_code in {401, 405}, rule.path
