"""Secrets that come and go: told to whoever waits for them, and to the audit log, by name."""

from models.audit import AuditAction
from models.base import JsonObject
from models.tenants import OrgScope, SessionScope
from planvault.storage.tenancy import within
from serve_apps.changes import record
from serve_apps.dependencies import ApiDeps
from serve_apps.schemas.sessions import PutSecrets


async def change_secrets(deps: ApiDeps, scope: OrgScope, body: PutSecrets, actor: str) -> None:
    """Write them at the scope's level; runs that wait for a credential there hear of it in the same transaction."""
    async with within(deps.pool, scope) as connection:
        if isinstance(scope, SessionScope):
            await deps.commands.hold_open(connection, scope)
        await deps.secrets.put(scope, body.secrets, connection)
        shards = await deps.commands.credentials_changed(connection, scope, actor)
        if body.secrets:
            what: JsonObject = {"names": [*sorted(body.secrets)]}
            await record(deps, connection, scope, AuditAction.SECRETS_CHANGED, actor, what)
    for shard in shards:
        await deps.commands.wake(shard)


async def delete_secrets(deps: ApiDeps, scope: OrgScope, name: str, actor: str) -> None:
    """Raises NotFound where the level has no such secret."""
    async with within(deps.pool, scope) as connection:
        await deps.secrets.delete(scope, name, connection)
        await record(deps, connection, scope, AuditAction.SECRETS_DELETED, actor, {"names": [name]})
