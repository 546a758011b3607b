"""New secrets, told to whoever waits for them."""

from models.tenants import OrgScope, SessionScope
from planvault.storage.tenancy import within
from serve_apps.dependencies import ApiDeps
from serve_apps.schemas.sessions import PutSecrets


async def change_secrets(deps: ApiDeps, scope: OrgScope, body: PutSecrets, actor: str) -> None:
    """Write them at the scope's level; runs that wait for a credential there hear of it in the same transaction."""
    async with within(deps.pool, scope) as connection:
        if isinstance(scope, SessionScope):
            await deps.commands.hold_open(connection, scope)
        await deps.secrets.put(scope, body.secrets, connection)
        shards = await deps.commands.credentials_changed(connection, scope, actor)
    for shard in shards:
        await deps.commands.wake(shard)
