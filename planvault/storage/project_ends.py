"""Deleted projects whose week is over: an erasure of each is asked for, which the privacy worker carries out."""

from __future__ import annotations

from models.audit import AuditAction, AuditRow
from models.ids import ProjectId
from models.privacy import Person, RequestKind, Target
from models.tenants import OrgScope
from planvault.ports import Clock, Ids
from planvault.storage.audit import AuditLog
from planvault.storage.pool import Pool, transaction
from planvault.storage.privacy import Draft, PrivacyRequests
from planvault.storage.privacy_work import told
from planvault.storage.queries import load
from planvault.storage.tenancy import stepped_into

_SQL = load("planvault.storage", "sql/projects.sql")
_ACTOR = "platform"


class ProjectEnds:
    """`pool` may work across organisations. Several may look at once: the second joins the first one's request."""

    def __init__(self, pool: Pool, requests: PrivacyRequests, audit: AuditLog, clock: Clock, ids: Ids) -> None:
        self._pool = pool
        self._requests = requests
        self._audit = audit
        self._clock = clock
        self._ids = ids

    async def once(self) -> bool:
        """Ask for the erasure of one project; false where none is due."""
        async with transaction(self._pool) as connection:
            due = await connection.fetchrow(_SQL["due"])
            if due is None:
                return False
            scope, project = OrgScope(org_id=due["org_id"]), ProjectId(due["id"])
            draft = Draft(RequestKind.ERASURE, Target.PROJECT, _ACTOR, project)
            async with stepped_into(connection, scope):
                await connection.execute(_SQL["meet_erasures"], scope.org_id, project)
                if not await connection.fetchval(_SQL["is_due"], scope.org_id, project):
                    return True
                made, is_new = await self._requests.create(connection, scope, draft, Person((), ()))
                if is_new:
                    action, details = AuditAction.GDPR_ERASURE_REQUESTED, told(made) | {"actor": _ACTOR}
                    row = AuditRow(id=self._ids.new(), at=self._clock.now(), action=action, details=details)
                    await (await self._audit.witness(scope.org_id, row))(connection)
        return True
