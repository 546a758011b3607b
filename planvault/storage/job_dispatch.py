"""The scheduler's hand on scheduled jobs: claim, write down what was sent, go on to the next occurrence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from models.base import JsonObject
from models.ids import JobId, MessageId, OrgId, ProjectId, SessionId
from models.policies import SessionSettings
from models.schedules import JobPayload, JobState, JobTarget, Recurrence
from models.tenants import ProjectScope, SessionScope
from planvault.ports import Keyring
from planvault.storage.pool import Connection, Queryable
from planvault.storage.queries import load
from planvault.storage.scheduled_jobs import open_payload, seal_payload, without_secrets

_SQL = load("planvault.storage", "sql/job_dispatch.sql")


@dataclass(frozen=True, slots=True)
class DueJob:
    """A due job, held by this transaction. `now` is the claim's database time.

    What another build may have written otherwise is unread: one such job must not keep the others from being sent.
    """

    id: JobId
    scope: ProjectScope
    target: JobTarget
    session_id: SessionId | None
    sealed: bytes
    tags: tuple[str, ...]
    raw_settings: JsonObject
    external_user_hmac: bytes | None
    raw_rule: JsonObject | None
    run_at: datetime
    attempts: int
    now: datetime

    @property
    def settings(self) -> SessionSettings:
        return SessionSettings.model_validate(self.raw_settings)

    @property
    def rule(self) -> Recurrence | None:
        return None if self.raw_rule is None else Recurrence.model_validate(self.raw_rule)


class JobDispatch:
    """`now` None is the database's time; a test gives one. All calls run in the caller's transaction."""

    def __init__(self, keyring: Keyring, now: datetime | None = None) -> None:
        self._keyring = keyring
        self._now = now

    async def claim(self, connection: Connection, limit: int) -> list[DueJob]:
        """Due jobs that nobody else has in hand, longest due first; held until the transaction ends."""
        return [_due(row) for row in await connection.fetch(_SQL["claim"], self._now, limit)]

    async def next_wake_s(self, db: Queryable) -> float | None:
        """Seconds until a job is due, at most 0 where one is; None where none waits."""
        seconds: float | None = await db.fetchval(_SQL["next_wake"], self._now)
        return seconds

    async def payload(self, job: DueJob) -> JobPayload:
        """Raises DecryptionFailed."""
        cipher = await self._keyring.subject_cipher(job.scope.org_id, job.external_user_hmac)
        return open_payload(cipher, job.id, job.sealed)

    async def sent(
        self, connection: Connection, job: DueJob, due: datetime, session: SessionScope, message_id: MessageId
    ) -> None:
        """The occurrence has become a message. A second row for it is refused by the table's key."""
        await connection.execute(_SQL["record_sent"], *_place(job), due, session.session_id, message_id)

    async def given_up(self, connection: Connection, job: DueJob, due: datetime, error: str) -> None:
        await connection.execute(_SQL["record_given_up"], *_place(job), due, error)

    async def advance(self, connection: Connection, job: DueJob, following: datetime, error: str | None = None) -> None:
        """On to the next occurrence; `error`: why the one before was given up."""
        await connection.execute(_SQL["advance"], *_place(job), following, error)

    async def end(
        self,
        connection: Connection,
        job: DueJob,
        state: JobState,
        due: datetime,
        *,
        payload: JobPayload | None,
        error: str | None = None,
    ) -> None:
        """No occurrence is left. The payload loses its secrets; None: it cannot be read and stays."""
        sealed = None
        if payload is not None:
            cipher = await self._keyring.subject_cipher(job.scope.org_id, job.external_user_hmac)
            sealed = seal_payload(cipher, job.id, without_secrets(payload))
        await connection.execute(_SQL["end"], *_place(job), state.value, due, error, sealed)

    async def put_off(self, connection: Connection, job: DueJob, wait_s: float, error: str) -> None:
        """This attempt failed; the occurrence is tried again after `wait_s`."""
        await connection.execute(_SQL["put_off"], *_place(job), wait_s, error, self._now)


def _place(job: DueJob) -> tuple[UUID, UUID, UUID]:
    return job.scope.org_id, job.scope.project_id, job.id


def _due(row: asyncpg.Record) -> DueJob:
    return DueJob(
        id=JobId(row["id"]),
        scope=ProjectScope(org_id=OrgId(row["org_id"]), project_id=ProjectId(row["project_id"])),
        target=JobTarget(row["target"]),
        session_id=None if row["session_id"] is None else SessionId(row["session_id"]),
        sealed=row["payload"],
        tags=tuple(row["tags"]),
        raw_settings=row["settings"],
        external_user_hmac=row["external_user_hmac"],
        raw_rule=row["rule"],
        run_at=row["run_at"],
        attempts=row["attempts"],
        now=row["now"],
    )
