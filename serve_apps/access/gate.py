"""The gate in front of every route: the caller is known and allowed before a byte of the body is read.

It stands in front of the router and matches with the router's own patterns, in its order. Its rows are the written
policy's (serve_apps.access.policy); an application in which a route has none does not start.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import UUID

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette._utils import get_route_path
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from models.ids import OrgId, ProjectId
from planvault.auth.permissions import Granted, Tenancy, decide
from planvault.auth.principals import Principal
from planvault.errors import (
    BringUpFailed,
    FieldError,
    InvalidInput,
    IssuerUnavailable,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    PlanVaultError,
)
from serve_apps import problems
from serve_apps.access.lasting import while_admitted
from serve_apps.access.policy import Rule

_JUDGED = "planvault.judged"


class Door(Protocol):
    """planvault.auth.authenticator.Authenticator."""

    async def authenticate(self, authorization: str | None) -> Principal:
        """Raises NotAuthenticated."""
        ...


@dataclass(frozen=True, slots=True)
class Gatekeeper:
    """What a decision needs of the process that makes it."""

    door: Door
    tenancy: Tenancy

    async def admit(self, rule: Rule, authorization: str | None, path: dict[str, str]) -> Granted:
        """`path`: the parameters of the route's path. Raises NotAuthenticated, NotAllowed, NotFound, InvalidInput."""
        principal = await self.door.authenticate(authorization)
        org_id, project_id = _uuid(path, "orgId"), _uuid(path, "projectId")
        return await decide(
            principal,
            rule.permission,
            rule.kinds,
            self.tenancy,
            org_id=None if org_id is None else OrgId(org_id),
            project_id=None if project_id is None else ProjectId(project_id),
        )


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request that passed: what was granted, by which row, and whether the same request would pass again now.

    `again` is asked for answers that outlive what let them in (serve_apps.access.lasting): caches answer it.
    """

    rule: Rule
    granted: Granted
    again: Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Judged:
    """Which route a request was judged for; `admitted` is None where anybody may call it."""

    rule: Rule
    endpoint: Callable[..., object] | None
    admitted: Admitted | None = None


class RouteTable:
    """The routes of an application in the order of its router, each with its row. Raises BringUpFailed."""

    def __init__(self, app: FastAPI, policy: Sequence[Rule]) -> None:
        rows = {(rule.method, rule.path): rule for rule in policy}
        if len(rows) != len(policy):
            raise BringUpFailed("The access policy has two rows for one route (serve_apps/access/policy.py).")
        self._routes: dict[str, list[tuple[re.Pattern[str], Judged]]] = {}
        found: set[tuple[str, str]] = set()
        for route in iter_route_contexts(app.routes):
            for method, path in _calls(route.methods, route.path_format):
                rule = rows.get((method, path))
                if rule is None:
                    raise BringUpFailed(
                        f"{method} {path} has no row in the access policy (serve_apps/access/policy.py): "
                        "write down who may call it."
                    )
                found.add((method, path))
                self._routes.setdefault(method, []).append((compile_path(path)[0], Judged(rule, route.endpoint)))
        if stale := sorted(set(rows) - found):
            raise BringUpFailed(f"The access policy has rows for routes that do not exist: {stale}")

    def match(self, method: str, path: str) -> tuple[Judged, dict[str, str]] | None:
        """The row of the route that the router will choose; None where it will choose none."""
        for pattern, judged in self._routes.get("GET" if method == "HEAD" else method, ()):
            if found := pattern.match(path):
                return judged, found.groupdict()
        return None


class Gate:
    """Pure ASGI, so that streams pass unbuffered. `keeper` is asked for at each request: replicas open parts late."""

    def __init__(self, app: ASGIApp, table: RouteTable, keeper: Callable[[Scope], Gatekeeper]) -> None:
        self._app = app
        self._table = table
        self._keeper = keeper

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        found = self._table.match(scope["method"], get_route_path(scope))
        if found is None:  # the router's to refuse: 404, 405
            await self._app(scope, receive, send)
            return
        judged, path = found
        if not judged.rule.is_open:
            authorization = Headers(scope=scope).get("authorization")
            try:
                passed = await self._admit(self._keeper(scope), judged.rule, authorization, path)
            except PlanVaultError as refused:
                await problems.of_error(refused)(scope, receive, send)
                return
            judged = replace(judged, admitted=passed)
        scope.setdefault("state", {})[_JUDGED] = judged
        if judged.admitted is None:
            await self._app(scope, receive, send)
        else:
            await while_admitted(judged.admitted.again, self._app, scope, receive, send)

    async def _admit(self, keeper: Gatekeeper, rule: Rule, authorization: str | None, path: dict[str, str]) -> Admitted:
        granted = await keeper.admit(rule, authorization, path)

        async def again() -> bool:
            try:
                await keeper.admit(rule, authorization, path)
            except (NotAuthenticated, NotAllowed, NotFound, IssuerUnavailable):
                return False
            return True

        return Admitted(rule, granted, again)


def enforce(app: FastAPI, policy: Sequence[Rule], keeper: Callable[[Scope], Gatekeeper]) -> None:
    """Put the gate in front of all routes that `app` has now. Raises BringUpFailed for a route without a row.

    To be called when the routes are complete and before other middleware is added, which then stands outside of it.
    """
    app.add_middleware(Gate, table=RouteTable(app, policy), keeper=keeper)


def judgement(scope: Scope) -> Judged | None:
    """How the gate has judged a request; None for one that it has refused, or that has no route."""
    found = scope.get("state", {}).get(_JUDGED)
    return found if isinstance(found, Judged) else None


def judged(connection: HTTPConnection) -> None:
    """A dependency of every route: the gate judged this request, and for the route that it has reached.

    Raises RuntimeError otherwise. A path that gate and router read differently must not get an answer.
    """
    found = judgement(connection.scope)
    if found is None or found.endpoint is not connection.scope.get("endpoint"):
        raise RuntimeError(f"{connection.scope['path']} reached a route that the gate has not judged")


def admitted(connection: HTTPConnection) -> Admitted:
    """What the gate granted this request. Raises RuntimeError on an open route, which is granted nothing."""
    found = judgement(connection.scope)
    if found is None or found.admitted is None:
        raise RuntimeError(f"{connection.scope['path']} was not admitted by the gate")
    return found.admitted


def _calls(methods: set[str] | None, path: str | None) -> list[tuple[str, str]]:
    """The (method, path) pairs of one route. Raises BringUpFailed for what is no plain HTTP route."""
    if path is None or not methods:
        raise BringUpFailed(f"{path or 'A mounted application'} cannot be guarded: only routes with methods can.")
    return [(method, path) for method in sorted(methods) if method != "HEAD"]  # HEAD is judged as GET


def _uuid(path: dict[str, str], name: str) -> UUID | None:
    """Raises InvalidInput."""
    if name not in path:
        return None
    try:
        return UUID(path[name])
    except ValueError:
        detail = f"path parameter {name}: must be a UUID"
        raise InvalidInput(
            "The request is not valid; `errors` names every fault.", errors=(FieldError("", detail),)
        ) from None
