"""Scheduled jobs as callers see them: made, found, listed, cancelled. Sending them is `job_dispatch`'s part."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from models.ids import JobId, MessageId, RunId, SessionId
from models.policies import SessionSettings
from models.runs import RunStatus
from models.schedules import JobPayload, JobState, JobStatus, JobTarget, Recurrence
from models.tenants import ProjectScope
from planvault.errors import Conflict, NotFound
from planvault.ports import Keyring, OrgCipher, Seal
from planvault.storage.pool import Connection, Pool, Queryable
from planvault.storage.queries import load
from planvault.storage.tenancy import scoped
from planvault.storage.under_erasure import unless_erased

_SQL = load("planvault.storage", "sql/scheduled_jobs.sql")

# Of ciphertext, in one page: a job's prompt and context may have as many bytes as a request.
PAGE_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class NewJob:
    id: JobId
    target: JobTarget
    session_id: SessionId | None  # resume_session
    payload: JobPayload
    tags: tuple[str, ...]
    settings: SessionSettings
    external_user_hmac: bytes | None
    rule: Recurrence | None
    run_at: datetime
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One time that a job was due: sent (session, message, and the run once it is open), or given up (error)."""

    due_at: datetime
    at: datetime
    session_id: SessionId | None
    message_id: MessageId | None
    run_id: RunId | None
    run_status: RunStatus | None
    error: str | None


@dataclass(frozen=True, slots=True)
class JobRecord:
    id: JobId
    target: JobTarget
    status: JobStatus
    session_id: SessionId | None
    payload: JobPayload
    secret_names: tuple[str, ...]
    tags: tuple[str, ...]
    settings: SessionSettings
    has_external_user: bool
    rule: Recurrence | None
    run_at: datetime
    attempts: int
    last_error: str | None
    last: Occurrence | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class JobFilter:
    id: JobId | None = None
    status: JobStatus | None = None
    target: JobTarget | None = None
    session_id: SessionId | None = None  # resumed, or opened by the last occurrence
    recurring: bool | None = None


def payload_seal(job_id: JobId) -> Seal:
    return Seal("table:scheduled_jobs", "scheduled_jobs", str(job_id), "payload")


def seal_payload(cipher: OrgCipher, job_id: JobId, payload: JobPayload) -> bytes:
    return cipher.seal(payload.model_dump_json().encode(), payload_seal(job_id))


def open_payload(cipher: OrgCipher, job_id: JobId, sealed: bytes) -> JobPayload:
    """Raises DecryptionFailed."""
    return JobPayload.model_validate_json(cipher.open(sealed, payload_seal(job_id)))


class ScheduledJobs:
    def __init__(self, pool: Pool, keyring: Keyring) -> None:
        self._pool = pool
        self._keyring = keyring

    async def insert(self, connection: Connection, scope: ProjectScope, job: NewJob) -> bool:
        """False where the project has a job under this idempotency key. Inside the caller's transaction.

        Raises ErasureUnderWay while its user or its project is being erased.
        """
        cipher = await self._keyring.subject_cipher(scope.org_id, job.external_user_hmac)
        with unless_erased():
            written = await connection.fetchval(
                _SQL["insert"],
                *_place(scope),
                job.id,
                job.target.value,
                job.session_id,
                seal_payload(cipher, job.id, job.payload),
                sorted(job.payload.secrets),
                list(job.tags),
                job.settings.model_dump(mode="json", by_alias=True),
                job.external_user_hmac,
                None if job.rule is None else job.rule.model_dump(mode="json", by_alias=True),
                job.run_at,
                job.idempotency_key,
            )
        return written is not None

    async def by_key(self, db: Queryable, scope: ProjectScope, key: str) -> tuple[JobId, datetime] | None:
        """Id and due time of the job that was made under this idempotency key."""
        row = await db.fetchrow(_SQL["find_by_key"], *_place(scope), key)
        return None if row is None else (JobId(row["id"]), row["run_at"])

    async def check_room(self, connection: Connection, scope: ProjectScope, most: int) -> None:
        """One more live job fits into the project, until the transaction ends. Raises Conflict where it does not."""
        await connection.execute(_SQL["hold_project"], *_place(scope))
        live = await connection.fetchval(_SQL["count_live"], *_place(scope))
        if live >= most:
            raise Conflict(
                f"The project has {live} scheduled jobs that have an occurrence to come; {most} may be at once. Cancel "
                "some, or raise the project's setting maxScheduledJobs."
            )

    async def get(self, scope: ProjectScope, job_id: JobId, db: Queryable | None = None) -> JobRecord:
        """Raises NotFound. `db` is the caller's open transaction."""
        found, _ = await self.page(scope, JobFilter(id=job_id), None, 1, db)
        if not found:
            raise NotFound("There is no such scheduled job in this project.")
        return found[0]

    async def page(
        self,
        scope: ProjectScope,
        chosen: JobFilter,
        before: JobId | None,
        limit: int,
        db: Queryable | None = None,
    ) -> tuple[list[JobRecord], bool]:
        """At most `limit` jobs and PAGE_BYTES, newest first, older than `before`; and whether there are more."""
        rows = await (scoped(self._pool, scope) if db is None else db).fetch(
            _SQL["page"],
            *_place(scope),
            before,
            chosen.id,
            chosen.status,
            chosen.target,
            chosen.session_id,
            chosen.recurring,
            limit + 1,
            PAGE_BYTES,
        )
        records = [
            _record(row, await self._keyring.subject_cipher(scope.org_id, row["subject"])) for row in rows[:limit]
        ]
        return records, bool(rows) and len(records) < rows[0]["found"]

    async def occurrences(
        self, scope: ProjectScope, job_id: JobId, before: datetime | None, limit: int
    ) -> list[Occurrence]:
        """At most `limit` past occurrences, latest first, due before `before`."""
        rows = await scoped(self._pool, scope).fetch(_SQL["occurrences"], *_place(scope), job_id, before, limit)
        return [_occurrence(row) for row in rows]

    async def cancel(self, connection: Connection, scope: ProjectScope, job_id: JobId) -> bool:
        """No further occurrence; False: it was cancelled before. Raises NotFound, and Conflict for an ended job."""
        row = await connection.fetchrow(_SQL["hold"], *_place(scope), job_id)
        if row is None:
            raise NotFound("There is no such scheduled job in this project.")
        if row["state"] == JobState.CANCELLED:
            return False
        if row["state"] != JobState.SCHEDULED:
            raise Conflict(f"The job is {row['state']} already. Cancel its run with POST /sessions/…/actions.")
        cipher = await self._keyring.subject_cipher(scope.org_id, row["subject"])
        payload = without_secrets(open_payload(cipher, job_id, row["payload"]))
        await connection.execute(_SQL["cancel"], *_place(scope), job_id, seal_payload(cipher, job_id, payload))
        return True


def without_secrets(payload: JobPayload) -> JobPayload:
    """What is kept of an ended job."""
    return payload.model_copy(update={"secrets": {}})


def _place(scope: ProjectScope) -> tuple[UUID, UUID]:
    return scope.org_id, scope.project_id


def _record(row: asyncpg.Record, cipher: OrgCipher) -> JobRecord:
    job_id = JobId(row["id"])
    return JobRecord(
        id=job_id,
        target=JobTarget(row["target"]),
        status=JobStatus(row["status"]),
        session_id=row["session_id"],
        payload=open_payload(cipher, job_id, row["payload"]),
        secret_names=tuple(row["secret_names"]),
        tags=tuple(row["tags"]),
        settings=SessionSettings.model_validate(row["settings"]),
        has_external_user=row["has_external_user"],
        rule=None if row["rule"] is None else Recurrence.model_validate(row["rule"]),
        run_at=row["run_at"],
        attempts=row["attempts"],
        last_error=row["last_error"],
        last=None if row["past_due_at"] is None else _occurrence(row, "past_"),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _occurrence(row: asyncpg.Record, prefix: str = "") -> Occurrence:
    def column(name: str) -> Any:
        return row[prefix + name]

    status = column("run_status")
    return Occurrence(
        due_at=column("due_at"),
        at=column("at"),
        session_id=column("session_id"),
        message_id=column("message_id"),
        run_id=column("run_id"),
        run_status=None if status is None else RunStatus(status),
        error=column("error"),
    )
