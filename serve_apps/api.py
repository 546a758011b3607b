"""The API: one FastAPI application, plain for tests, wrapped as a Ray Serve ingress for the cluster."""

import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import ModuleType

from fastapi import APIRouter, Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from pydantic import BaseModel, Field
from ray import serve
from ray.serve import Application

from actors.handles import ServeEmbedder
from planvault.clock import TimeOrderedIds
from planvault.ingestion.parse import MAX_BYTES
from planvault.settings import Settings
from planvault.telemetry import start_logging
from serve_apps import documents, problems
from serve_apps.access.gate import enforce, judged
from serve_apps.access.policy import POLICY
from serve_apps.dependencies import ApiDeps, keeper_of, limits_of, open_deps
from serve_apps.limits.gate import CallerLimits, StrangerLimits
from serve_apps.middleware import BodyGuard, BugBoundary, HeadGuard, RequestIdentity, StrictJson
from serve_apps.readiness import application_probes
from serve_apps.request_id import HEADER
from serve_apps.routes import (
    account,
    actions,
    admin_audit,
    admin_bulk_imports,
    admin_data_keys,
    admin_keys,
    admin_members,
    admin_privacy,
    admin_projects,
    admin_routing_cache,
    admin_scenarios,
    admin_scheduled_jobs,
    admin_secrets,
    admin_service_tokens,
    admin_tools,
    blobs,
    callbacks,
    chat,
    feedback,
    health,
    history,
    messages,
    runs,
    scheduled_jobs,
    sessions,
    signals,
    tools,
)
from serve_apps.superadmin.serving import superadmin

RUNTIME_PREFIX = "/api/v1/projects/{projectId}"
ADMIN_PREFIX = "/admin/v1/orgs/{orgId}"

# Prompts, slots and settings are small; only an import may be as large as the settings allow. Those two routes read
# their body themselves, after the caller is known: the framework parses every other one before, on the event loop.
SMALL_BODY_BYTES = 2 * 1024 * 1024
SIGNAL_BYTES = 256 * 1024  # what the record holds in one event
_CALLBACKS = re.compile(r"/api/v1/projects/[^/]+/callbacks/[^/]+")
_IMPORTS = re.compile(r"/admin/v1/orgs/[^/]+/tools(/[^/]+)?")
_BULK_DOCUMENTS = re.compile(r"/admin/v1/orgs/[^/]+/bulk-imports/[^/]+/documents")

OpenDeps = Callable[[], AbstractAsyncContextManager[ApiDeps]]


def create_app(deps: ApiDeps) -> FastAPI:
    """The application over parts that the caller has opened and will close."""
    app = assemble(deps.settings)
    app.state.deps = deps
    return app


def create_served_app(settings: Settings, open_deps: OpenDeps) -> FastAPI:
    """The application of a replica: it opens its parts when it starts and closes them when it stops."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_deps() as deps, superadmin(settings, deps):
            app.state.deps = deps
            yield

    app = assemble(settings)
    app.router.lifespan_context = lifespan
    return app


def assemble(settings: Settings) -> FastAPI:
    app = FastAPI(
        openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, dependencies=[Depends(judged)]
    )
    problems.install(app)
    app.include_router(health.router)
    app.include_router(account.router)
    app.include_router(
        _under(RUNTIME_PREFIX, sessions, messages, actions, history, blobs, chat, runs, tools, scheduled_jobs)
    )
    app.include_router(_under(RUNTIME_PREFIX, signals, callbacks, feedback))
    app.include_router(
        _under(
            ADMIN_PREFIX,
            admin_tools,
            admin_bulk_imports,
            admin_projects,
            admin_keys,
            admin_data_keys,
            admin_members,
            admin_secrets,
            admin_scheduled_jobs,
            admin_audit,
        )
    )
    app.include_router(_under(ADMIN_PREFIX, admin_service_tokens, admin_scenarios, admin_routing_cache, admin_privacy))
    documents.install(app)
    # Added inside out: the last one sees the request first.
    app.add_middleware(StrictJson, reads_itself=_reads_itself)
    app.add_middleware(CallerLimits, limits_of=limits_of)
    enforce(app, POLICY, keeper_of)
    app.add_middleware(BodyGuard, limit_for=_body_limit(settings.max_body_bytes))
    app.add_middleware(StrangerLimits, limits_of=limits_of)
    app.add_middleware(HeadGuard)
    app.add_middleware(BugBoundary)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=[origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()],
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["*"],
        expose_headers=[HEADER, "Retry-After", "RateLimit", "RateLimit-Policy"],
        max_age=3_600,
    )
    app.add_middleware(RequestIdentity, ids=TimeOrderedIds(), public_url=settings.public_url)
    return app


def _under(prefix: str, *parts: ModuleType) -> APIRouter:
    router = APIRouter(prefix=prefix)
    for part in parts:
        router.include_router(part.router)
    return router


def _body_limit(imports: int) -> Callable[[str], int]:
    def limit_for(path: str) -> int:
        if _CALLBACKS.fullmatch(path):
            return min(imports, SIGNAL_BYTES)
        if _BULK_DOCUMENTS.fullmatch(path):
            return MAX_BYTES  # read as a stream, so that its size is no burden
        return imports if _IMPORTS.fullmatch(path) else min(imports, SMALL_BODY_BYTES)

    return limit_for


def _reads_itself(path: str) -> bool:
    """Routes that take documents: parsed outside the event loop, by rules of their own."""
    return _IMPORTS.fullmatch(path) is not None or _BULK_DOCUMENTS.fullmatch(path) is not None


class ApiArgs(BaseModel):
    """Arguments of the application in cluster/serve.yaml."""

    num_replicas: int = Field(default=1, ge=1, description="HTTP replicas; each holds its own pools and listener")
    max_ongoing_requests: int = Field(default=2_000, ge=1, description="A viewer of the live stream holds one slot")


def served_app() -> FastAPI:
    """What a replica runs: everything from its environment. No deadline is set on requests, since streams stay open."""
    settings = Settings()
    start_logging(settings, os.environ)
    probes = application_probes({"embedder": "embedder", "planner": "planner"})
    return create_served_app(settings, lambda: open_deps(settings, ServeEmbedder(), probes))


def build(args: ApiArgs) -> Application:
    """The Serve application of this module, for cluster/serve.yaml."""
    deployment = serve.deployment(
        name="Api",
        num_replicas=args.num_replicas,
        max_ongoing_requests=args.max_ongoing_requests,
        ray_actor_options={"num_cpus": 0.25},
        # Streams never end by themselves; their viewers resume on another replica.
        graceful_shutdown_wait_loop_s=0.5,
        graceful_shutdown_timeout_s=3,
    )(serve.ingress(served_app)())
    return deployment.bind()
