"""An organisation ends by its own word: what an OWNER asks for, in the transaction of their request."""

from datetime import datetime

from models.access import ORG_DELETE, Asker, Role
from models.audit import AuditAction
from models.base import JsonObject
from models.tenants import OrgScope
from planvault.auth.permissions import Granted, require
from planvault.errors import Conflict
from planvault.storage.org_deletion import RESTORABLE_DAYS
from planvault.storage.pool import Connection
from serve_apps.changes import record
from serve_apps.dependencies import ApiDeps


async def end_organization(
    deps: ApiDeps, connection: Connection, scope: OrgScope, grant: Granted, confirm: str, actor: str, *, at_once: bool
) -> tuple[datetime, set[int]]:
    """Shut for everybody with the commit. Until when it can be restored, and the shards to wake after it.

    Raises NotAllowed for whoever is no OWNER now, Conflict where `confirm` is not its name.
    """
    require(grant, ORG_DELETE)
    assert grant.role is not None  # the route belongs to an organisation, and takes no project key
    await deps.members.confirm(connection, scope, Asker(role=grant.role, user_id=grant.principal.user_id), Role.OWNER)
    name = (await deps.tenants.organization(scope, connection)).name
    if confirm != name:
        raise Conflict("`confirm` is not the name of this organisation: nothing was deleted")
    deletion, shards = await deps.deletions.mark(connection, scope, actor, 0 if at_once else RESTORABLE_DAYS)
    what: JsonObject = {"name": name, "purgeAfter": deletion.purge_after.isoformat(), "immediately": at_once}
    await record(deps, connection, scope, AuditAction.ORGANIZATION_DELETED, actor, what)
    return deletion.purge_after, shards
