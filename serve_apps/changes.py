"""Who set what: written into the audit log with the change itself."""

from models.audit import AuditAction, AuditRow
from models.base import JsonObject
from models.tenants import OrgScope, ProjectScope, SessionScope
from planvault.storage.pool import Connection
from planvault.storage.tenants import Witness
from serve_apps.dependencies import ApiDeps


async def settings_changed(deps: ApiDeps, scope: OrgScope, actor: str, what: JsonObject) -> Witness:
    """Writes, in the transaction of the change, that `actor` changed `what` of the organisation or the project."""
    return await changed(deps, scope, AuditAction.SETTINGS_CHANGED, actor, what)


async def record(
    deps: ApiDeps, connection: Connection, scope: OrgScope, action: AuditAction, actor: str, what: JsonObject
) -> None:
    """Write it down now, in the caller's transaction, which knows only by then what has changed."""
    witness = await changed(deps, scope, action, actor, what)
    await witness(connection)


async def changed(deps: ApiDeps, scope: OrgScope, action: AuditAction, actor: str, what: JsonObject) -> Witness:
    """Writes, in the transaction of the change, that `actor` did `action`; `what` are its details."""
    row = AuditRow(
        id=deps.ids.new(),
        at=deps.clock.now(),
        action=action,
        details={"actor": actor, **what},
        project_id=scope.project_id if isinstance(scope, ProjectScope) else None,
        session_id=scope.session_id if isinstance(scope, SessionScope) else None,
    )
    return await deps.audit.witness(scope.org_id, row)
