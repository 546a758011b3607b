"""The access matrix: every route × every kind of caller × whose organisation the path names, over HTTP.

What must come out is derived here, from the written policy as a person reads it (its rows, and what each role may do),
with matching of its own; nothing that decides in the application is asked. A request that the gate lets through is
stopped just behind it and answers PASSED: handlers delete things, and the matrix asks only who reaches them.
"""

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from models.access import ROLE_PERMISSIONS
from planvault.errors import BringUpFailed
from serve_apps.access.gate import enforce
from serve_apps.access.policy import POLICY, Rule
from serve_apps.dependencies import keeper_of
from tests.integration.serve_apps.access.cast import NOBODY, Who, World, make_world
from tests.integration.serve_apps.conftest import ObservedDeps, application
from tests.integration.serve_apps.routes import SOME_ID, all_routes

PASSED = 299
UNDOCUMENTED = {"/api/openapi.json", "/api-docs", "/api-docs/{name}"}


@dataclass(frozen=True)
class Place:
    """What a path names, and whether that is there: an organisation, and a project with the one that it is of."""

    name: str
    org: UUID
    project: UUID
    project_of: UUID | None
    is_there: bool = True


# ── what the policy says, read by hand ───────────────────────────────────────────────────────────────────────────────


def matches(pattern: str, permission: str) -> bool:
    """`*` is one segment, as the last one also several."""
    text = re.escape(pattern).replace(r"\*", "[a-z-]+")
    if pattern.endswith(":*"):
        text += "(:[a-z-]+)*"
    return re.fullmatch(text, permission) is not None


def expected(rule: Rule, who: Who, place: Place) -> int:
    if not rule.kinds:
        return PASSED
    if who.kind == NOBODY:
        return 401
    if who.kind not in {kind.value for kind in rule.kinds}:
        return 403
    if not is_home(rule, who, place):
        return 404
    if not rule.permission:
        return PASSED
    if who.kind == "project_key":
        held = [scope for scope in who.scopes if scope.startswith("hrn:project:")]
    else:
        held = list(ROLE_PERMISSIONS[who.role]) if who.role is not None else []
    return PASSED if any(matches(pattern, rule.permission) for pattern in held) else 403


def is_home(rule: Rule, who: Who, place: Place) -> bool:
    """Whether what the path names is there, and the caller's."""
    names_org, names_project = "{orgId}" in rule.path, "{projectId}" in rule.path
    if not (names_org or names_project):
        return True
    if not place.is_there:
        return False
    org = place.org if names_org else place.project_of
    if names_project and place.project_of != org:
        return False
    if who.kind == "admin":
        return True
    return who.org == org and (who.project is None or who.project == place.project)


# ── what the application does ────────────────────────────────────────────────────────────────────────────────────────


class _Wall:
    """Innermost: what reaches it has passed everything in front of the handlers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await Response(status_code=PASSED)(scope, receive, send)


@pytest.fixture
async def world(deps: ObservedDeps) -> World:
    return await make_world(deps)


@pytest.fixture
async def http(world: World) -> AsyncIterator[httpx.AsyncClient]:
    app = application(world.deps)
    app.user_middleware = [*app.user_middleware, Middleware(_Wall)]
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://api") as client:
        yield client


def url_of(rule: Rule, place: Place) -> str:
    named = {"orgId": str(place.org), "projectId": str(place.project), "alias": "shop", "name": "A_SECRET"}
    return re.sub(r"\{(\w+)\}", lambda found: named.get(found[1], SOME_ID), rule.path)


async def differences(http: httpx.AsyncClient, cells: Iterator[tuple[Rule, Who, Place]]) -> list[str]:
    found = []
    for rule, who, place in cells:
        answer = await http.request(rule.method, url_of(rule, place), headers=who.headers)
        wanted = expected(rule, who, place)
        if answer.status_code != wanted:
            found.append(f"{rule.method} {rule.path} for {who.name} {place.name}: {answer.status_code}, not {wanted}")
        elif wanted != PASSED and answer.headers["content-type"] != "application/problem+json":
            found.append(f"{rule.method} {rule.path} for {who.name}: no problem document")
    return found


def home_of(world: World) -> Place:
    return Place("at home", world.home.org_id, world.home.project_id, world.home.org_id)


async def test_every_route_lets_in_whom_the_policy_names_and_nobody_else(http: httpx.AsyncClient, world: World) -> None:
    home = home_of(world)
    cells = [(rule, who, home) for rule in POLICY for who in world.cast.values()]
    assert len(world.cast) > 35
    assert await differences(http, iter(cells)) == []


async def test_what_is_not_the_callers_is_not_there(http: httpx.AsyncClient, world: World) -> None:
    """A sibling project, another organisation, its project under one's own organisation, and ids of nothing."""
    home, sibling, away = world.home, world.sibling, world.away
    nothing = UUID(int=12)
    places = [
        Place("in the sibling", home.org_id, sibling.project_id, home.org_id),
        Place("elsewhere", away.org_id, away.project_id, away.org_id),
        Place("with another's project", home.org_id, away.project_id, away.org_id),
        Place("with one's own project under another", away.org_id, home.project_id, home.org_id),
        Place("with a project of nobody", home.org_id, nothing, None),
        Place("nowhere", nothing, nothing, None, is_there=False),
    ]
    powerful = [
        world.cast[name]
        for name in ("key with everything", "the admin token", "person owner", "person member", "service admin")
    ]
    cells = [
        (rule, who, place)
        for rule in POLICY
        if "{orgId}" in rule.path or "{projectId}" in rule.path
        for who in powerful
        for place in places
    ]
    assert await differences(http, iter(cells)) == []


async def test_the_matrix_notices_a_policy_that_lets_too_many_in(http: httpx.AsyncClient, world: World) -> None:
    """The derivation is no echo of the application: told another policy, it disagrees."""
    rule = next(rule for rule in POLICY if rule.path.endswith("/members") and rule.method == "GET")
    wrong = Rule(rule.method, rule.path, rule.kinds, "hrn:org:delete")
    cells = [(wrong, world.cast["person member"], home_of(world))]
    assert len(await differences(http, iter(cells))) == 1


# ── nothing is left out ──────────────────────────────────────────────────────────────────────────────────────────────


def test_the_policy_and_the_document_name_the_same_routes() -> None:
    documented = {(route.method, route.path) for route in all_routes()}
    written = {(rule.method, rule.path) for rule in POLICY}
    assert documented - written == set()
    assert {path for _, path in written - documented} == UNDOCUMENTED


def test_an_application_with_a_route_that_has_no_row_does_not_start() -> None:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/new")
    async def new() -> None: ...

    with pytest.raises(BringUpFailed, match="GET /new has no row"):
        enforce(app, (), keeper_of)
    with pytest.raises(BringUpFailed, match="routes that do not exist"):
        enforce(app, (Rule("GET", "/new", frozenset()), Rule("PUT", "/new", frozenset())), keeper_of)
    with pytest.raises(BringUpFailed, match="two rows"):
        enforce(app, (Rule("GET", "/new", frozenset()),) * 2, keeper_of)


def test_a_mounted_application_cannot_slip_past() -> None:
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.mount("/console", FastAPI())
    with pytest.raises(BringUpFailed, match="cannot be guarded"):
        enforce(app, (), keeper_of)
