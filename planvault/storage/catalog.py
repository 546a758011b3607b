"""Integrations, and what each project has decided about them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import asyncpg

from models.ids import IntegrationId, ProjectId
from models.tenants import OrgScope, ProjectScope
from models.tools import ApprovalPolicy, Integration, IntegrationState, ToolSource
from planvault.errors import Conflict, NotFound
from planvault.ports import OrgCipher, Seal
from planvault.storage.pool import Connection, Queryable
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/catalog.sql")


@dataclass(frozen=True, slots=True)
class ProjectIntegration:
    """An integration as one project sees it. `tool_count` counts its current tools."""

    integration: Integration
    state: IntegrationState
    tool_count: int


async def create_integration(
    db: Queryable,
    scope: OrgScope,
    integration_id: IntegrationId,
    *,
    alias: str,
    display_name: str,
    source: ToolSource = ToolSource.OPENAPI,
    base_url: str = "",
) -> Integration:
    """Raises Conflict where the organisation already has an integration of that alias."""
    row = await db.fetchrow(
        _SQL["insert_integration"], scope.org_id, integration_id, alias, display_name, source.value, base_url
    )
    if row is None:
        raise Conflict(f"An integration named {alias} exists; replace it with PUT, or choose another name.")
    return _integration(row)


async def get_integration(db: Queryable, scope: OrgScope, integration_id: IntegrationId) -> Integration:
    row = await db.fetchrow(_SQL["get_integration"], scope.org_id, integration_id)
    if row is None:
        raise NotFound("There is no such integration in this organisation.")
    return _integration(row)


async def find_integration(db: Queryable, scope: OrgScope, alias: str) -> Integration:
    row = await db.fetchrow(_SQL["find_integration"], scope.org_id, alias)
    if row is None:
        raise NotFound(f"There is no integration named {alias} in this organisation.")
    return _integration(row)


async def list_integrations(
    db: Queryable, scope: OrgScope, *, after: str = "", limit: int = 10_000, alias: str | None = None
) -> list[Integration]:
    """A page by alias; the last alias is the cursor of the next page."""
    return [_integration(row) for row in await db.fetch(_SQL["list_integrations"], scope.org_id, after, limit, alias)]


async def update_integration(
    db: Queryable,
    scope: OrgScope,
    integration_id: IntegrationId,
    *,
    display_name: str | None = None,
    base_url: str | None = None,
) -> Integration:
    """None keeps what is there. Tools change by a new import only."""
    row = await db.fetchrow(_SQL["update_integration"], scope.org_id, integration_id, display_name, base_url)
    if row is None:
        raise NotFound("There is no such integration in this organisation.")
    return _integration(row)


async def record_document(
    db: Queryable, scope: OrgScope, integration_id: IntegrationId, *, sha256: str, changed: bool, server: str
) -> None:
    """Note that a document was imported; `server` fills an empty base URL."""
    await db.execute(_SQL["record_document"], scope.org_id, integration_id, sha256, int(changed), server)


async def hold_integration(db: Connection, scope: OrgScope, integration_id: IntegrationId) -> None:
    """Until the transaction ends nobody deletes it, if it is still there."""
    await db.execute(_SQL["hold_integration"], scope.org_id, integration_id)


async def delete_integration(db: Queryable, scope: OrgScope, integration_id: IntegrationId) -> None:
    """Its tools of every version, its imports and the projects' settings go with it."""
    if await db.fetchval(_SQL["delete_integration"], scope.org_id, integration_id) is None:
        raise NotFound("There is no such integration in this organisation.")


async def project_integrations(db: Queryable, scope: ProjectScope, cipher: OrgCipher) -> list[ProjectIntegration]:
    rows = await db.fetch(_SQL["project_integrations"], scope.org_id, scope.project_id)
    return [
        ProjectIntegration(_integration(row), state_of(row, cipher, scope, row["id"]), row["tool_count"])
        for row in rows
    ]


async def integration_state(
    db: Queryable, scope: ProjectScope, integration_id: IntegrationId, cipher: OrgCipher
) -> IntegrationState:
    """The project's decisions, the defaults where it has made none."""
    row = await db.fetchrow(_SQL["integration_state"], scope.org_id, scope.project_id, integration_id)
    if row is None:
        raise NotFound("There is no such integration in this organisation.")
    return state_of(row, cipher, scope, integration_id)


async def set_integration_state(
    db: Queryable, scope: ProjectScope, integration_id: IntegrationId, state: IntegrationState, cipher: OrgCipher
) -> None:
    """Replace the project's decisions about an integration as a whole."""
    sealed = None
    if state.auth_headers:
        plaintext = json.dumps(state.auth_headers, separators=(",", ":")).encode()
        sealed = cipher.seal(plaintext, _place(scope.project_id, integration_id))
    policy = state.approval_policy.value if state.approval_policy else None
    stored = await db.fetchval(
        _SQL["set_integration_state"],
        scope.org_id,
        scope.project_id,
        integration_id,
        state.enabled,
        policy,
        sealed,
    )
    if stored is None:
        raise NotFound("There is no such integration in this project's organisation.")


async def call_target_row(db: Queryable, scope: ProjectScope, integration_id: IntegrationId) -> asyncpg.Record:
    """base_url, enabled, approval_policy, auth_headers (sealed), settings (the organisation's)."""
    row = await db.fetchrow(_SQL["call_target"], scope.org_id, scope.project_id, integration_id)
    if row is None:
        raise NotFound("The tool's integration was deleted.")
    return row


def _place(project_id: ProjectId, integration_id: IntegrationId) -> Seal:
    return Seal("table:project_integrations", "project_integrations", f"{project_id}:{integration_id}", "auth_headers")


def state_of(
    row: asyncpg.Record, cipher: OrgCipher, scope: ProjectScope, integration_id: IntegrationId
) -> IntegrationState:
    """The state in a row that holds `enabled`, `approval_policy` and `auth_headers`."""
    headers: Mapping[str, str] = {}
    if row["auth_headers"] is not None:
        headers = json.loads(cipher.open(row["auth_headers"], _place(scope.project_id, integration_id)))
    policy = ApprovalPolicy(row["approval_policy"]) if row["approval_policy"] else None
    return IntegrationState(enabled=row["enabled"], approval_policy=policy, auth_headers=dict(headers))


def _integration(row: asyncpg.Record) -> Integration:
    return Integration(
        id=row["id"],
        org_id=row["org_id"],
        alias=row["alias"],
        display_name=row["display_name"],
        source=ToolSource(row["source"]),
        base_url=row["base_url"],
        version=row["version"],
    )
