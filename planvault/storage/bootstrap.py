"""The default tenant: what the first `planvault up` on a database makes."""

from __future__ import annotations

from dataclasses import dataclass

from models.access import ALL_OF_PROJECT
from models.ids import OrgId, ProjectId
from models.policies import EgressPolicy, OrgSettings, ProjectSettings
from models.tenants import ProjectScope
from planvault.auth.keys import digest, new_project_key
from planvault.ports import Ids
from planvault.storage.pool import Connection, Pool, Queryable, transaction
from planvault.storage.queries import load

ORGANIZATION = "Default organisation"
PROJECT = "default"

_SQL = load("planvault.storage", "sql/bootstrap.sql")
_TENANTS = load("planvault.storage", "sql/tenants.sql")
_KEYS = load("planvault.storage", "sql/api_keys.sql")


@dataclass(frozen=True, slots=True)
class TenantCredentials:
    """What a caller needs to use the Runtime API. Goes into credentials.json (0600), never into a log."""

    org_id: OrgId
    project_id: ProjectId
    project_key: str

    def __repr__(self) -> str:
        return f"TenantCredentials(org_id={self.org_id}, project_id={self.project_id}, project_key=…)"


async def ensure_default_tenant(
    pool: Pool, ids: Ids, known: TenantCredentials | None = None, *, allow_loopback: bool = True
) -> TenantCredentials:
    """The default organisation, its project and a key that works; made where they are missing.

    `known` is what an earlier call gave; it comes back unchanged while its key lives. Without it, or once it is
    revoked, the tenant gets a further key: a key's text cannot be read back, and other holders keep theirs.
    `allow_loopback` is the egress policy of a new organisation.
    """
    async with transaction(pool) as connection:
        await connection.execute(_SQL["lock"])
        if known is not None and await _works(connection, known):
            return known
        scope = await _default_project(connection, ids, allow_loopback=allow_loopback)
        return TenantCredentials(scope.org_id, scope.project_id, await _new_key(connection, ids, scope))


async def organizations(db: Queryable) -> list[OrgId]:
    """Every organisation of the database: what the platform gives to all is given at bring-up."""
    return [OrgId(row["id"]) for row in await db.fetch(_SQL["organizations"])]


async def _works(connection: Connection, known: TenantCredentials) -> bool:
    sha256 = digest(known.project_key)
    return bool(await connection.fetchval(_SQL["key_works"], known.org_id, known.project_id, sha256))


async def _default_project(connection: Connection, ids: Ids, *, allow_loopback: bool) -> ProjectScope:
    found = await connection.fetchrow(_SQL["default_project"], ORGANIZATION, PROJECT)
    if found is not None:
        return ProjectScope(org_id=found["org_id"], project_id=found["project_id"])
    org_id, project_id = OrgId(ids.new()), ProjectId(ids.new())
    org_settings = OrgSettings(egress=EgressPolicy(allow_loopback=allow_loopback)).model_dump(mode="json")
    project_settings = ProjectSettings().model_dump(mode="json")
    await connection.execute(_TENANTS["insert_organization"], org_id, ORGANIZATION, org_settings)
    await connection.execute(_TENANTS["insert_project"], org_id, project_id, PROJECT, project_settings)
    return ProjectScope(org_id=org_id, project_id=project_id)


async def _new_key(connection: Connection, ids: Ids, scope: ProjectScope) -> str:
    key = new_project_key()
    has_primary = await connection.fetchval(_SQL["has_primary"], scope.org_id, scope.project_id)
    name = "planvault up" if has_primary else "primary"
    values = (ids.new(), name, key.sha256, key.preview, [ALL_OF_PROJECT], not has_primary, None)
    await connection.execute(_KEYS["create"], scope.org_id, scope.project_id, *values, "", None, None)
    return key.text
