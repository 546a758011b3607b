"""Makes jobs: checks an order against database time, the project's horizon and the session to resume."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from models.audit import AuditAction, AuditRow
from models.base import JsonObject
from models.ids import JobId
from models.schedules import JobPayload, JobTarget
from models.tenants import ProjectScope, SessionScope
from planvault.errors import Conflict, FieldError, InvalidInput, NotFound
from planvault.ports import Ids
from planvault.scheduling.orders import JobOrder, first_due
from planvault.storage.audit import AuditLog
from planvault.storage.commands import Commands
from planvault.storage.pool import Connection
from planvault.storage.scheduled_jobs import NewJob, ScheduledJobs
from planvault.storage.tenants import Tenants


class Booked(NamedTuple):
    job_id: JobId
    run_at: datetime


class Bookings:
    def __init__(self, jobs: ScheduledJobs, commands: Commands, tenants: Tenants, audit: AuditLog, ids: Ids) -> None:
        self._jobs = jobs
        self._commands = commands
        self._tenants = tenants
        self._audit = audit
        self._ids = ids

    async def book(self, connection: Connection, scope: ProjectScope, order: JobOrder) -> Booked:
        """The job, made inside the caller's transaction; under an idempotency key that was used, the one made then.

        Raises InvalidInput that names every fault, Conflict where the project has its fill of jobs, and NotFound for a
        foreign project.
        """
        if (made := await self._made_before(connection, scope, order)) is not None:
            return made
        project = await self._tenants.project(scope, connection)
        now = await connection.fetchval("SELECT now()")
        run_at = first_due(order, now, project.settings.max_schedule_horizon_days)
        await self._check_session(connection, scope, order)
        await self._jobs.check_room(connection, scope, project.settings.max_scheduled_jobs)
        job = _job(JobId(self._ids.new()), order, run_at)
        if await self._jobs.insert(connection, scope, job):
            await (await self._audit.witness(scope.org_id, self._row(scope, order, job, now)))(connection)
            return Booked(job.id, run_at)
        made = await self._made_before(connection, scope, order)
        assert made is not None, "an insert that gives way gives way to a row"
        return made

    def _row(self, scope: ProjectScope, order: JobOrder, job: NewJob, now: datetime) -> AuditRow:
        details: JsonObject = {
            "actor": order.created_by,
            "jobId": str(job.id),
            "target": job.target.value,
            "runAt": job.run_at.isoformat(),
            "recurring": job.rule is not None,
            "byPlan": order.by_plan,
        }
        return AuditRow(
            id=self._ids.new(),
            at=now,
            action=AuditAction.JOB_SCHEDULED,
            details=details,
            project_id=scope.project_id,
            session_id=order.session_id,
        )

    async def _made_before(self, connection: Connection, scope: ProjectScope, order: JobOrder) -> Booked | None:
        if order.idempotency_key is None:
            return None
        made = await self._jobs.by_key(connection, scope, order.idempotency_key)
        return None if made is None else Booked(*made)

    async def _check_session(self, connection: Connection, scope: ProjectScope, order: JobOrder) -> None:
        if order.target is not JobTarget.RESUME_SESSION or order.session_id is None:
            return
        session = SessionScope(org_id=scope.org_id, project_id=scope.project_id, session_id=order.session_id)
        try:
            await self._commands.hold_open(connection, session)
        except (NotFound, Conflict) as fault:
            errors = [FieldError("/sessionId", fault.detail)]
            raise InvalidInput("The session cannot be resumed.", errors=errors) from fault


def _job(job_id: JobId, order: JobOrder, run_at: datetime) -> NewJob:
    payload = JobPayload(
        prompt=order.prompt,
        name=order.name,
        context_vars=order.context_vars,
        metadata=order.metadata,
        secrets=order.secrets,
        created_by=order.created_by,
        operator=order.operator,
        proven=order.proven,
        by_plan=order.by_plan,
    )
    return NewJob(
        id=job_id,
        target=order.target,
        session_id=order.session_id,
        payload=payload,
        tags=order.tags,
        settings=order.settings,
        external_user_hmac=order.external_user_hmac,
        rule=order.timing.rule,
        run_at=run_at,
        idempotency_key=order.idempotency_key,
    )
