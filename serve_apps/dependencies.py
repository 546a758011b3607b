"""What the routes need, put together once a replica, and who may call them."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.types import Scope

from models.ids import OrgId, SessionId
from models.rate_limits import RateLimits, parse_limits
from models.tenants import OrgScope, ProjectScope, SessionScope
from planvault.auth.authenticator import Authenticator
from planvault.auth.opening import open_authenticator
from planvault.auth.permissions import Granted, Tenancy
from planvault.auth.principals import Principal
from planvault.auth.tenancy import CachedTenancy
from planvault.clock import SystemClock, TimeOrderedIds
from planvault.crypto.assembly import key_providers
from planvault.crypto.providers import KeyProviders
from planvault.errors import NotAllowed
from planvault.policy.voting import Voter, person
from planvault.ports import Clock, Embedder, Ids, Keyring, ToolSelector
from planvault.scheduling.booking import Bookings
from planvault.settings import Settings
from planvault.storage.answer_cache import RedisAnswers
from planvault.storage.api_keys import ApiKeys
from planvault.storage.audit import AuditLog
from planvault.storage.audit_chain import AuditChain
from planvault.storage.audit_keys import AuditKeys
from planvault.storage.blobs import Blobs
from planvault.storage.commands import Commands
from planvault.storage.feedback import Feedback
from planvault.storage.health import live_hosts
from planvault.storage.hints import Hints
from planvault.storage.history import HistoryReader
from planvault.storage.idempotency import AnswerScope, Idempotency, IdempotencyKey
from planvault.storage.invitations import Invitations
from planvault.storage.keys import PostgresKeyring
from planvault.storage.members import Members
from planvault.storage.org_deletion import OrganizationDeletions
from planvault.storage.pool import Pool, Role, open_pool
from planvault.storage.privacy import PrivacyRequests
from planvault.storage.privacy_file import ExportFiles
from planvault.storage.projects import Projects
from planvault.storage.rates import PostgresRates
from planvault.storage.redis_link import open_link
from planvault.storage.routing_cache import RoutingCache
from planvault.storage.runs import Runs
from planvault.storage.scenarios import Scenarios
from planvault.storage.scheduled_jobs import ScheduledJobs
from planvault.storage.secrets import PostgresSecrets
from planvault.storage.service_tokens import ServiceTokens
from planvault.storage.session_store import SessionStore
from planvault.storage.sessions import Sessions
from planvault.storage.signals import Callbacks, PostgresSignals
from planvault.storage.tenants import Tenants
from retrieval.assembly import open_selector
from serve_apps.access.gate import Gatekeeper, admitted
from serve_apps.chat_stream import ChatStreams
from serve_apps.history_feed import HistoryFeed
from serve_apps.limits.address import Clients, networks
from serve_apps.limits.meter import Meter
from serve_apps.limits.parts import Limits, remembered
from serve_apps.readiness import Probe, key_provider_probe, redis_probe
from serve_apps.schemas.health import PartHealth

_STATEMENT_S = 30.0


@dataclass(frozen=True, slots=True)
class ApiDeps:
    settings: Settings
    ids: Ids
    clock: Clock
    pool: Pool
    keyring: Keyring
    key_providers: KeyProviders
    authenticator: Authenticator
    tenancy: Tenancy
    members: Members
    invitations: Invitations
    projects: Projects
    sessions: Sessions
    commands: Commands
    history: HistoryReader
    runs: Runs
    blobs: Blobs
    privacy: PrivacyRequests
    deletions: OrganizationDeletions
    export_files: ExportFiles
    idempotency: Idempotency
    audit: AuditLog
    audit_chain: AuditChain
    secrets: PostgresSecrets
    signals: PostgresSignals
    callbacks: Callbacks
    tenants: Tenants
    api_keys: ApiKeys
    service_tokens: ServiceTokens
    scheduled_jobs: ScheduledJobs
    bookings: Bookings
    selector: ToolSelector
    embedder: Embedder
    scenarios: Scenarios
    routing_cache: RoutingCache
    feedback: Feedback
    chats: ChatStreams
    feed: HistoryFeed
    probes: Mapping[str, Probe]
    limits: Limits | None  # None: they are off


@asynccontextmanager
async def open_deps(settings: Settings, embedder: Embedder, probes: Mapping[str, Probe]) -> AsyncIterator[ApiDeps]:
    """Pools, repositories and the running feed of one replica; `probes` are the parts outside this process."""
    ids = TimeOrderedIds()
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(await _own_pool(settings, "api", 8))
        # Apart from the others: a cipher may be needed inside a transaction that holds the last connection.
        keys = await stack.enter_async_context(await _own_pool(settings, "api-keys", 2))
        providers = key_providers(settings)
        keyring = PostgresKeyring(keys, providers, ids)
        api_keys = ApiKeys(pool, ids)
        tenants = Tenants(pool, ids)
        members = Members(pool, ids)
        service_tokens = ServiceTokens(pool, ids)
        authenticator = await stack.enter_async_context(
            open_authenticator(settings, api_keys, service_tokens, members, SystemClock())
        )
        jobs = ScheduledJobs(pool, keyring)
        sessions = Sessions(pool, keyring, keyring.pseudonym, settings.shards)
        session_store = SessionStore(settings.events_folder)
        await session_store.claim(pool, ids)
        history = session_store.history(pool, keyring)
        link = await stack.enter_async_context(open_link(settings.redis_url))
        hints = None if link is None else Hints(link, settings.redis_url)
        commands = Commands(pool, keyring, ids, hints)
        feed = HistoryFeed(history, settings.app_url, hints=hints)
        await stack.enter_async_context(feed.running())
        selector = await stack.enter_async_context(
            open_selector(pool, keyring, embedder, SystemClock(), resident_mb=settings.resident_index_mb)
        )
        yield ApiDeps(
            settings=settings,
            ids=ids,
            clock=SystemClock(),
            pool=pool,
            keyring=keyring,
            key_providers=providers,
            authenticator=authenticator,
            tenancy=CachedTenancy(members),
            members=members,
            invitations=Invitations(pool, ids, members),
            projects=Projects(pool),
            sessions=sessions,
            commands=commands,
            history=history,
            runs=Runs(pool, keyring),
            blobs=Blobs(pool, keyring, ids),
            privacy=PrivacyRequests(pool, keyring, keyring, ids),
            deletions=OrganizationDeletions(pool, commands),
            export_files=ExportFiles(pool, keyring),
            idempotency=Idempotency(pool, keyring, None if link is None else RedisAnswers(link, keyring)),
            audit=AuditLog(pool, keyring),
            audit_chain=AuditChain(pool, keyring, AuditKeys(pool, keyring, ids, SystemClock()), SystemClock()),
            secrets=PostgresSecrets(pool, keyring, ids),
            signals=PostgresSignals(pool, keyring, keyring),
            callbacks=Callbacks(commands, keyring),
            tenants=tenants,
            api_keys=api_keys,
            service_tokens=service_tokens,
            scheduled_jobs=jobs,
            bookings=Bookings(jobs, commands, tenants, AuditLog(pool, keyring), ids),
            selector=selector,
            embedder=embedder,
            scenarios=Scenarios(pool, keyring, ids),
            routing_cache=RoutingCache(pool),
            feedback=Feedback(keyring, keyring.pseudonym, ids),
            chats=ChatStreams(history, sessions, feed),
            feed=feed,
            probes={
                **_database_probes(pool, settings, session_store),
                "keyProviders": key_provider_probe(providers),
                **({} if link is None else {"redis": redis_probe(link)}),
                **probes,
            },
            limits=await _open_limits(stack, settings, tenants),
        )


async def _open_limits(stack: AsyncExitStack, settings: Settings, tenants: Tenants) -> Limits | None:
    """With a connection of its own: requests that wait for the others wait for limits first."""
    deployment = parse_limits(settings.rate_limits)
    if deployment is None:
        return None
    pool = await stack.enter_async_context(await _own_pool(settings, "api-limits", 1))
    meter = Meter(PostgresRates(pool))
    await stack.enter_async_context(meter.running())

    async def choices(org_id: OrgId) -> RateLimits:
        return (await tenants.organization(OrgScope(org_id=org_id))).settings.rate_limits

    return Limits(deployment, meter, Clients(networks(settings.trusted_proxies)), remembered(choices))


async def _own_pool(settings: Settings, name: str, maximum: int) -> Pool:
    """Connections that see nothing outside an organisation's scope.

    A database that has vanished without a word must not hold requests until TCP gives up.
    """
    return await open_pool(
        settings.app_url, name=name, maximum=maximum, command_timeout_s=_STATEMENT_S, role=Role.TENANT
    )


def _database_probes(pool: Pool, settings: Settings, store: SessionStore) -> dict[str, Probe]:
    async def database() -> PartHealth:
        return PartHealth(ready=await pool.fetchval("SELECT true"))

    async def session_hosts() -> PartHealth:
        alive = await live_hosts(pool, settings.lease_seconds)
        return PartHealth(ready=alive > 0, detail=f"{alive} alive")

    async def session_events() -> PartHealth:
        problem = await store.problem(pool)
        return PartHealth(ready=problem is None, detail=problem or store.place)

    return {"database": database, "sessionHosts": session_hosts, "sessionEvents": session_events}


# ── what a route asks for ────────────────────────────────────────────────────────────────────────────────────────────


def _deps(request: Request) -> ApiDeps:
    deps = request.app.state.deps
    assert isinstance(deps, ApiDeps)
    return deps


Deps = Annotated[ApiDeps, Depends(_deps)]

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="bearer",
    description="A project key `sk_live_…`, a token of your issuer, a service token, or the admin token.",
)


def _granted(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Granted:
    """What the gate has decided (serve_apps.access); no handler decides, and none can forget to."""
    return admitted(request).granted


Grant = Annotated[Granted, Depends(_granted)]


def _principal(grant: Grant) -> Principal:
    return grant.principal


Caller = Annotated[Principal, Depends(_principal)]


def _project(grant: Grant, projectId: UUID) -> ProjectScope:  # noqa: N803 - the path's own name
    scope = grant.scope
    assert isinstance(scope, ProjectScope)
    assert scope.project_id == projectId
    return scope


def _session(project: Annotated[ProjectScope, Depends(_project)], sessionId: UUID) -> SessionScope:  # noqa: N803
    return SessionScope(org_id=project.org_id, project_id=project.project_id, session_id=SessionId(sessionId))


def _organization(grant: Grant, orgId: UUID) -> OrgScope:  # noqa: N803 - the path's own name
    scope = grant.scope
    assert scope is not None
    assert scope.org_id == orgId
    return OrgScope(org_id=scope.org_id)


def _project_of_organization(
    org: Annotated[OrgScope, Depends(_organization)], project: Annotated[ProjectScope, Depends(_project)]
) -> ProjectScope:
    assert org.org_id == project.org_id
    return project


# Where a request works. What it needs to be let in there is in the written policy (serve_apps.access.policy).
InProject = Annotated[ProjectScope, Depends(_project)]
InSession = Annotated[SessionScope, Depends(_session)]
Organisation = Annotated[OrgScope, Depends(_organization)]
OrganisationProject = Annotated[ProjectScope, Depends(_project_of_organization)]


def keeper_of(scope: Scope) -> Gatekeeper:
    """Who decides in this replica; its parts are opened when it starts."""
    deps = scope["app"].state.deps
    assert isinstance(deps, ApiDeps)
    return Gatekeeper(deps.authenticator, deps.tenancy)


def limits_of(scope: Scope) -> Limits | None:
    """The rate limits of this replica."""
    deps = scope["app"].state.deps
    assert isinstance(deps, ApiDeps)
    return deps.limits


def _operator(
    caller: Caller,
    operator: Annotated[
        str | None,
        Header(
            alias="X-Operator-Id",
            max_length=200,
            pattern=r"^[^\x00-\x1f\x7f]+$",
            description="The person behind the key, as its holder claims: for the record, and whose approval it is. "
            "Who has signed in acts in their own name.",
        ),
    ] = None,
) -> str:
    """The person behind the request: proven for who has signed in, otherwise what the holder of the key claims.

    Raises NotAllowed for a signed-in person who names another.
    """
    claimed = _as_utf_8(operator or "")
    proven = caller.proven_operator
    if proven and claimed and person(claimed) != person(proven):
        raise NotAllowed("X-Operator-Id is for keys: a signed-in person acts in their own name")
    return proven or claimed


def _as_utf_8(name: str) -> str:
    """Clients send names as UTF-8, which the server reads as Latin-1; what is no UTF-8 was meant as Latin-1."""
    try:
        return name.encode("latin-1").decode().strip()
    except UnicodeError:
        return name.strip()


Operator = Annotated[str, Depends(_operator)]


async def _idempotency_key(
    request: Request,
    caller: Caller,
    operator: Operator,
    given: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=255,
            pattern=r"^[\x21-\x7e]+$",
            description="Same key, body, caller and operator: the same answer, for 24 hours. Same key, others: 422.",
        ),
    ] = None,
) -> IdempotencyKey | None:
    if given is None:
        return None
    route = f"{request.method} {request.url.path}"
    # The query is part of what was asked: a bare document is registered under the name that it gives.
    asked = hashlib.sha256(request.url.query.encode() + b"\n" + await request.body())
    # So is who asks: another's approval is no repeat of this one's, and an answer may hold the text of a new key, which
    # is for its maker alone. A name is only claimed: the credential is what tells callers apart.
    asked.update(f"\n{caller.holder}\n{operator}".encode())
    return IdempotencyKey(route, given, asked.digest())


OnceKey = Annotated[IdempotencyKey | None, Depends(_idempotency_key)]


def answers_of(scope: OrgScope) -> AnswerScope:
    """A project's keys are its own; above projects they are the organisation's."""
    owner: UUID = scope.project_id if isinstance(scope, ProjectScope) else scope.org_id
    return AnswerScope(scope.org_id, owner)


def _actor(caller: Caller, operator: Operator) -> str:
    if caller.proven_operator or not operator:
        return caller.actor
    return f"{operator} ({caller.actor})"


Actor = Annotated[str, Depends(_actor)]


def _speaker(caller: Caller, operator: Operator, actor: Actor) -> Voter:
    return Voter(operator, actor, proven=bool(caller.proven_operator))


# Who sends a prompt or an answer, and whether the credential proves it. A claim stays one wherever it is recorded.
Speaker = Annotated[Voter, Depends(_speaker)]
