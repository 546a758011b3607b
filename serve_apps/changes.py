"""Who set what: written into the audit log with the change itself."""

from models.audit import AuditAction, AuditRow
from models.base import JsonObject
from models.tenants import OrgScope, ProjectScope
from planvault.storage.tenants import Witness
from serve_apps.dependencies import ApiDeps


async def settings_changed(deps: ApiDeps, scope: OrgScope, actor: str, what: JsonObject) -> Witness:
    """Writes, in the transaction of the change, that `actor` changed `what` of the organisation or the project."""
    row = AuditRow(
        id=deps.ids.new(),
        at=deps.clock.now(),
        action=AuditAction.SETTINGS_CHANGED,
        details={"actor": actor, **what},
        project_id=scope.project_id if isinstance(scope, ProjectScope) else None,
    )
    return await deps.audit.witness(scope.org_id, row)
