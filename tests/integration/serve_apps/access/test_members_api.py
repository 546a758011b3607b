"""Members, invitations and keys as people use them, and how soon what was taken away is gone, on every replica."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from time import monotonic

import httpx
import pytest

from models.access import Role
from models.audit import AuditAction
from models.tenants import OrgScope
from planvault.auth.keys import digest
from planvault.settings import Settings
from planvault.storage.audit import AuditFilter
from tests.integration.serve_apps.access.cast import Doorman, Who, World, make_world
from tests.integration.serve_apps.conftest import ObservedDeps, OneHotEmbedder, application, observed

PROMISED_S = 5.0


@pytest.fixture
async def world(deps: ObservedDeps) -> World:
    return await make_world(deps)


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=application(world.deps))
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        yield client


def admin_of(world: World) -> str:
    return f"/admin/v1/orgs/{world.home.org_id}"


def keys_of(world: World) -> str:
    return f"{admin_of(world)}/projects/{world.home.project_id}/keys"


async def actions(world: World) -> list[tuple[str, str]]:
    page = await world.deps.audit.page(OrgScope(org_id=world.home.org_id), AuditFilter(), None, 100)
    return [(entry.row.action, str(entry.row.details["actor"])) for entry in reversed(page.entries)]


async def test_a_person_is_invited_joins_gets_another_role_and_is_removed(
    http: httpx.AsyncClient, world: World
) -> None:
    admin, new = world.cast["person admin"], world.cast["person member-nowhere"]
    base = admin_of(world)
    made = await http.post(
        f"{base}/invitations", json={"email": "Member-Nowhere@example.com", "role": "DEVELOPER"}, headers=admin.headers
    )
    assert made.status_code == 201, made.text
    token = made.json()["token"]
    listed = await http.get(f"{base}/invitations", headers=admin.headers)
    assert [one["id"] for one in listed.json()["items"]] == [made.json()["id"]]
    assert token not in listed.text

    joined = await http.post("/api/v1/account/invitations", json={"token": token}, headers=new.headers)
    assert (joined.status_code, joined.json()["role"]) == (201, "DEVELOPER"), joined.text
    account = (await http.get("/api/v1/account", headers=new.headers)).json()
    assert [one["id"] for one in account["organizations"]] == [str(world.home.org_id)]
    place = f"{base}/members/{account['userId']}"
    changed = await http.put(place, json={"role": "MEMBER"}, headers=admin.headers)
    assert (changed.status_code, changed.json()["role"]) == (200, "MEMBER")
    assert (await http.delete(place, headers=admin.headers)).status_code == 200
    assert (await http.get(place, headers=admin.headers)).status_code == 404
    assert await actions(world) == [
        (AuditAction.MEMBER_INVITED, "admin@example.com"),
        (AuditAction.MEMBER_JOINED, "member-nowhere@example.com"),
        (AuditAction.MEMBER_ROLE_CHANGED, "admin@example.com"),
        (AuditAction.MEMBER_REMOVED, "admin@example.com"),
    ]


async def test_an_admin_makes_no_owner_and_touches_none(http: httpx.AsyncClient, world: World) -> None:
    admin = world.cast["person admin"].headers
    members = (await http.get(f"{admin_of(world)}/members", headers=admin)).json()["items"]
    ids = {member["role"]: f"{admin_of(world)}/members/{member['userId']}" for member in members}
    refused = [
        await http.put(ids["MEMBER"], json={"role": "OWNER"}, headers=admin),
        await http.put(ids["ADMIN"], json={"role": "OWNER"}, headers=admin),
        await http.put(ids["OWNER"], json={"role": "MEMBER"}, headers=admin),
        await http.delete(ids["OWNER"], headers=admin),
        await http.post(f"{admin_of(world)}/invitations", json={"email": "a@b.c", "role": "OWNER"}, headers=admin),
    ]
    assert [answer.status_code for answer in refused] == [403] * 5
    owner = world.cast["person owner"].headers
    last = await http.put(ids["OWNER"], json={"role": "MEMBER"}, headers=owner)
    assert (last.status_code, last.json()["type"]) == (409, "urn:planvault:problem:LAST_OWNER")
    left = await http.delete(f"/api/v1/account/organizations/{world.home.org_id}", headers=owner)
    assert left.json()["type"] == "urn:planvault:problem:LAST_OWNER"


async def test_who_has_signed_in_acts_in_their_own_name(http: httpx.AsyncClient, world: World) -> None:
    developer = world.cast["person developer"].headers
    url = f"/api/v1/projects/{world.home.project_id}/scheduled-jobs"
    body = {"prompt": "hi", "delaySeconds": 3_600}
    posing = await http.post(url, json=body, headers=developer | {"X-Operator-Id": "owner@example.com"})
    assert posing.status_code == 403
    honest = await http.post(url, json=body, headers=developer | {"X-Operator-Id": "Developer@example.com "})
    assert honest.status_code == 201, honest.text
    claimed = await http.post(
        url, json=body, headers=world.cast["key with everything"].headers | {"X-Operator-Id": "owner@example.com"}
    )
    assert claimed.status_code == 201
    assert [actor for _, actor in await actions(world)] == [
        "developer@example.com",
        "owner@example.com (key:key with everything)",
    ]


# ── project keys ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_key_rotates_without_a_moment_in_which_none_works(http: httpx.AsyncClient, world: World) -> None:
    admin = world.cast["person admin"].headers
    old = (await http.post(keys_of(world), json={"name": "roll", "scopes": ["hrn:project:*"]}, headers=admin)).json()
    url = f"{keys_of(world)}/{old['id']}/rotate"
    new = (await http.post(url, json={"graceSeconds": 3600}, headers=admin)).json()
    assert new["retiringUntil"] is not None
    sessions = f"/api/v1/projects/{world.home.project_id}/sessions"
    for text in (old["key"], new["key"]):
        assert (await http.get(sessions, headers={"Authorization": f"Bearer {text}"})).status_code == 200
    newest = (await http.post(url, headers=admin)).json()  # no grace: the one before ends, and the first long has
    found = [await world.deps.api_keys.find(digest(text["key"])) for text in (old, new, newest)]
    assert [one is not None for one in found] == [False, False, True]
    too_long = await http.post(url, json={"graceSeconds": 8 * 86_400}, headers=admin)
    assert too_long.status_code == 422


async def test_scoped_keys_have_a_quota_and_the_primary_key_is_one(http: httpx.AsyncClient, world: World) -> None:
    admin = world.cast["person admin"].headers
    again = await http.post(keys_of(world), json={"name": "second", "primary": True}, headers=admin)
    assert again.status_code == 409
    listed = (await http.get(keys_of(world), headers=admin)).json()["items"]
    live = [key for key in listed if key["revokedAt"] is None and not key["isPrimary"]]
    await world.deps.database.execute(
        "UPDATE organizations SET keys_per_project = $2 WHERE id = $1", world.home.org_id, len(live) + 1
    )
    body = {"name": "more", "scopes": ["hrn:project:tools:read"]}
    answers = await asyncio.gather(*(http.post(keys_of(world), json=body, headers=admin) for _ in range(4)))
    # The expired one of the cast is not counted, so there is room for it and for one more.
    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert refused.json()["type"] == "urn:planvault:problem:QUOTA_REACHED"


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "k", "scopes": ["hrn:org:members:read"]}, "/scopes"),
        ({"name": "k", "scopes": ["hrn:*"]}, "/scopes"),
        ({"name": "k", "scopes": ["*"]}, "/scopes"),
        ({"name": "k", "scopes": []}, "/scopes"),
        ({"name": "k", "scopes": ["hrn:project:*"], "expiresAt": "2020-01-01T00:00:00Z"}, "/expiresAt"),
        ({"name": "k", "scopes": ["hrn:project:*"], "expiresAt": "2020-01-01T00:00:00"}, "/expiresAt"),
        ({"name": "k", "scopes": ["hrn:project:*"], "primary": True}, ""),
    ],
)
async def test_a_key_that_could_not_work_or_reaches_too_far_is_refused(
    http: httpx.AsyncClient, world: World, body: dict[str, object], pointer: str
) -> None:
    answer = await http.post(keys_of(world), json=body, headers=world.cast["the admin token"].headers)
    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


async def test_a_deleted_project_is_gone_for_its_keys_and_its_people(http: httpx.AsyncClient, world: World) -> None:
    owner = world.cast["person owner"].headers
    place = f"{admin_of(world)}/projects/{world.sibling.project_id}"
    renamed = await http.patch(place, json={"name": "renamed"}, headers=owner)
    assert (renamed.status_code, renamed.json()["name"]) == (200, "renamed")
    assert (await http.delete(place, headers=owner)).status_code == 204
    remaining = (await http.get(f"{admin_of(world)}/projects", headers=owner)).json()["items"]
    assert [project["id"] for project in remaining] == [str(world.home.project_id)]
    assert (await http.post(f"{admin_of(world)}/projects", json={"name": "renamed"}, headers=owner)).status_code == 201
    async with another_replica(world) as replica:
        key = world.cast["key of the sibling"].headers
        sessions = f"/api/v1/projects/{world.sibling.project_id}/sessions"
        assert (await replica.get(sessions, headers=key)).status_code == 401
        assert (await replica.get(sessions, headers=owner)).status_code == 404


# ── how soon ─────────────────────────────────────────────────────────────────────────────────────────────────────────


class another_replica:  # noqa: N801 - reads as what it is, a context manager
    """The same installation's API in a process of its own memory."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> httpx.AsyncClient:
        settings: Settings = self._world.deps.settings
        deps = await self._stack.enter_async_context(observed(settings, OneHotEmbedder(), {}))
        door = self._world.deps.authenticator
        assert isinstance(door, Doorman)
        deps = replace(deps, authenticator=Doorman(deps, door.people))  # type: ignore[arg-type]
        transport = httpx.ASGITransport(app=application(deps))
        client = httpx.AsyncClient(transport=transport, base_url="http://api")
        return await self._stack.enter_async_context(client)

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


async def test_what_is_taken_away_is_gone_within_five_seconds_on_every_replica(
    http: httpx.AsyncClient, world: World
) -> None:
    """A member who is removed, one who is demoted, and a key that is revoked; both replicas have just let them in."""
    admin = {"Authorization": world.cast["person owner"].auth}
    member, developer = world.cast["person member"], world.cast["person developer"]
    key = world.cast["key with everything"]
    sessions = f"/api/v1/projects/{world.home.project_id}/sessions"
    secrets = f"{admin_of(world)}/secrets"
    asked: list[tuple[Who, str, int]] = [(member, sessions, 404), (developer, secrets, 403), (key, sessions, 401)]
    async with another_replica(world) as second:
        for replica in (http, second):
            for who, url, _ in asked:
                assert (await replica.get(url, headers=who.headers)).status_code == 200, who.name
        everybody = (await http.get(f"{admin_of(world)}/members", headers=admin)).json()["items"]
        places = {one["role"]: f"{admin_of(world)}/members/{one['userId']}" for one in everybody}
        listed = (await http.get(keys_of(world), headers=admin)).json()["items"]
        key_id = next(one["id"] for one in listed if one["name"] == "key with everything")
        start = monotonic()
        assert (await http.delete(places[Role.MEMBER], headers=admin)).status_code == 200
        assert (await http.put(places[Role.DEVELOPER], json={"role": "MEMBER"}, headers=admin)).status_code == 200
        assert (await http.delete(f"{keys_of(world)}/{key_id}", headers=admin)).status_code == 204
        waiting = {(replica, who.name): (url, who, status) for replica in (http, second) for who, url, status in asked}
        while waiting and monotonic() - start < PROMISED_S:
            for (replica, name), (url, who, status) in list(waiting.items()):
                if (await replica.get(url, headers=who.headers)).status_code == status:
                    del waiting[replica, name]
            await asyncio.sleep(0.05)
        assert [name for _, name in waiting] == []
