"""What is fuzzed: the application on a socket of its own, over a fresh database with one organisation in it."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import UUID

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from benchmarks.fuzz.host import HangsUp, working
from benchmarks.fuzz.people import AUDIENCE, Issuer, Tokens, appoint
from cluster.data_dir import prepare
from cluster.postgres import embedded
from cluster.server_user import server_user
from models.base import JsonObject
from models.ids import ProjectId
from models.tenants import OrgScope, ProjectScope
from planvault.auth.keys import NewKey, new_admin_token
from planvault.ports import Span, Vector
from planvault.settings import Settings
from planvault.storage.migrate import migrate
from planvault.storage.pool import open_pool
from serve_apps.api import assemble
from serve_apps.dependencies import ApiDeps, open_deps
from serve_apps.documents import document_of

_DIMENSIONS = 384


class _Embedder:
    """Vectors of the right size: what is found is not looked at."""

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        return [[1.0 if place == len(text) % _DIMENSIONS else 0.0 for place in range(_DIMENSIONS)] for text in texts]

    async def embed_prompt(self, text: str, spans: Sequence[Span]) -> list[Vector]:
        return await self.embed([text, *(text[slice(*span)] for span in spans)])


@dataclass
class Tally:
    """Counts answers by status and by route; outermost, so that nothing escapes it."""

    app: ASGIApp
    statuses: Counter[int] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.statuses[message["status"]] += 1
                if message["status"] >= 500:
                    self.failed[f"{message['status']} {scope['method']} {scope['path']}"] += 1
            await send(message)

        await self.app(scope, receive, counted)


@dataclass(frozen=True)
class Room:
    url: str
    document: JsonObject
    tally: Tally
    key: NewKey
    admin: str
    org_id: UUID
    project_id: UUID
    doomed_project_id: UUID  # for the route that deletes projects
    doomed_org_id: UUID  # for the routes that end an organisation, or leave it
    tokens: Tokens  # none where nobody was appointed


@asynccontextmanager
async def throw_away() -> AsyncIterator[Room]:
    """Over a Postgres that is started for it, and goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="planvault-fuzz-"))
    os.chmod(folder, 0o755)  # the embedded server's user passes through
    user = server_user()
    server = embedded(prepare(folder / "data", user), user)
    server.start()
    try:
        await migrate(server.url("postgres"))
        async with room(server.url("postgres"), folder, peopled=True) as place:
            yield place
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def room(database_url: str, folder: Path, *, peopled: bool = False) -> AsyncIterator[Room]:
    """Served while the block lasts. The database is migrated, and nobody else's; `folder` holds the keyset.

    `peopled`: a host answers prompts, people of each role sign in at an issuer, and there are service tokens.
    """
    admin, issuer = new_admin_token(), Issuer()
    async with AsyncExitStack() as stack:
        issuer.url = await stack.enter_async_context(_listening(issuer))
        settings = Settings(
            database_url=database_url,
            data_dir=folder,
            admin_token_sha256=admin.sha256.hex(),
            keep_admin_token=True,
            rate_limits="off",
            oidc_issuer=issuer.url,
            oidc_audience=AUDIENCE,
            oidc_private=True,
        )
        if peopled:
            await stack.enter_async_context(working(settings, _Embedder()))
        else:
            await _pretend_a_host(database_url)
        app = assemble(settings)
        document = document_of(app)  # holds the loop up: the parts, once opened, fetch the issuer's keys
        app.state.deps = deps = await stack.enter_async_context(open_deps(settings, _Embedder(), {}))
        tally = Tally(HangsUp(app))
        base = await stack.enter_async_context(_listening(tally))
        made = await _furnished(deps, base, document, tally, admin.text)
        if peopled:
            orgs = (made.org_id, made.doomed_org_id)
            made = replace(made, tokens=await appoint(app, admin.text, issuer.signs_in, orgs))
        yield made


async def _furnished(deps: ApiDeps, url: str, document: JsonObject, tally: Tally, admin: str) -> Room:
    org, another = [await deps.tenants.create_organization(name) for name in ("fuzzed", "doomed")]
    scope = OrgScope(org_id=org.id)
    project, doomed = [await deps.tenants.create_project(scope, name) for name in ("fuzzed", "doomed")]
    _, key = await deps.api_keys.create_primary(ProjectScope(org_id=org.id, project_id=ProjectId(project.id)))
    nobody = Tokens({}, {})
    return Room(url, document, tally, key, admin, org.id, project.id, doomed.id, another.id, nobody)


async def _pretend_a_host(url: str) -> None:
    """Health asks for one; nothing runs there."""
    async with await open_pool(url, name="fuzz") as pool:
        await pool.execute("INSERT INTO hosts (id, build_id, heartbeat_at) VALUES ('h', 'b', now() + interval '1 day')")


@asynccontextmanager
async def _listening(app: ASGIApp) -> AsyncIterator[str]:
    config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:  # it takes connections from here on
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio does so only for sockets that it makes
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task
