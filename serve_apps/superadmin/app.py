"""The operators' application. It shares a replica's parts, and no port, route or document with the public one."""

from __future__ import annotations

from fastapi import Depends, FastAPI

from planvault.clock import TimeOrderedIds
from serve_apps import problems
from serve_apps.access.gate import enforce, judged
from serve_apps.dependencies import ApiDeps, keeper_of, limits_of
from serve_apps.limits.gate import CallerLimits, StrangerLimits
from serve_apps.middleware import BodyGuard, BugBoundary, HeadGuard, RequestIdentity, StrictJson
from serve_apps.superadmin.parts import Platform, only_operators
from serve_apps.superadmin.policy import POLICY
from serve_apps.superadmin.routes import router

_BODY_BYTES = 64 * 1024


def create_superadmin(deps: ApiDeps, platform: Platform) -> FastAPI:
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=[Depends(judged), Depends(only_operators)],
    )
    app.state.deps, app.state.platform = deps, platform
    problems.install(app)
    app.include_router(router)
    app.add_middleware(StrictJson, reads_itself=lambda _: False)
    app.add_middleware(CallerLimits, limits_of=limits_of)
    enforce(app, POLICY, keeper_of)
    app.add_middleware(BodyGuard, limit_for=lambda _: _BODY_BYTES)
    app.add_middleware(StrangerLimits, limits_of=limits_of)
    app.add_middleware(HeadGuard)
    app.add_middleware(BugBoundary)
    app.add_middleware(RequestIdentity, ids=TimeOrderedIds())
    return app
