"""Sends what is due. One transaction claims the job, opens the session, writes the command and moves the job on.

So an occurrence is sent once, however many schedulers there are and whenever one of them dies: before the commit
nothing has happened, after it everything has. Only the wake-up of the session's host comes later, and that is a hint.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg
import structlog

from models.commands import CommandKind, Message
from models.ids import MessageId, SessionId
from models.schedules import JobPayload, JobState, JobTarget
from models.tenants import SessionScope
from planvault.errors import PlanVaultError
from planvault.ports import Ids
from planvault.scheduling.recurrence import latest, next_after
from planvault.storage.commands import Commands
from planvault.storage.job_dispatch import DueJob, JobDispatch
from planvault.storage.pool import Connection, Pool, is_away, savepoint, transaction
from planvault.storage.secrets import PostgresSecrets
from planvault.storage.sessions import SessionDraft, Sessions
from planvault.storage.tenancy import stepped_into

_log = structlog.get_logger(__name__)

BATCH = 16  # jobs of one transaction
MAX_ATTEMPTS = 10  # of one occurrence; with the waits between them, about 40 minutes
_FIRST_WAIT_S = 5.0  # doubles
_LONGEST_WAIT_S = 600.0
_PAUSE_S = 0.05
_LONGEST_REASON = 2_000
# Faults of one job's statement on a connection that is well: somebody else holds its session.
_HELD = (asyncpg.LockNotAvailableError, asyncpg.TransactionRollbackError)


@dataclass(frozen=True, slots=True)
class Outbound:
    """Where jobs go: what the API itself writes sessions, secrets and commands with."""

    sessions: Sessions
    secrets: PostgresSecrets
    commands: Commands


class Dispatcher:
    """Several may run at once, in one cluster or in two."""

    def __init__(self, pool: Pool, jobs: JobDispatch, outbound: Outbound, ids: Ids) -> None:
        self._pool = pool
        self._jobs = jobs
        self._sessions = outbound.sessions
        self._secrets = outbound.secrets
        self._commands = outbound.commands
        self._ids = ids

    async def dispatch_due(self, limit: int = BATCH) -> int:
        """Take up to `limit` due jobs and send them; how many were taken, the failed ones included.

        Raises what the database raises when it is away: nothing was sent then, or all of it was.
        """
        shards: set[int] = set()
        async with transaction(self._pool) as connection:
            jobs = await self._jobs.claim(connection, limit)
            for job in jobs:
                shard = await self._attempt(connection, job)
                shards |= set() if shard is None else {shard}
        for shard in sorted(shards):
            await self._commands.wake(shard)
        return len(jobs)

    async def idle_s(self, at_most: float) -> float:
        """How long to wait for the next job, up to `at_most`: jobs that are made meanwhile are not known yet.

        What is overdue now is in another scheduler's hands: asking for it without a pause would be a busy loop.
        """
        seconds = await self._jobs.next_wake_s(self._pool)
        return at_most if seconds is None else min(max(seconds, _PAUSE_S), at_most)

    async def _attempt(self, connection: Connection, job: DueJob) -> int | None:
        """The shard to wake. A job that cannot be sent leaves nothing behind but its error, and holds up no other."""
        try:
            async with savepoint(connection), stepped_into(connection, job.scope):
                return await self._send(connection, job)
        # Whatever a job carries must not end the scheduler; a database that is away is no job's fault.
        except Exception as fault:
            if connection.is_closed() or (is_away(fault) and not isinstance(fault, _HELD)):
                raise
            async with stepped_into(connection, job.scope):
                await self._failed(connection, job, fault)
            return None

    async def _send(self, connection: Connection, job: DueJob) -> int:
        payload = await self._jobs.payload(job)
        rule = job.rule
        due = job.run_at if rule is None else latest(rule, job.run_at, job.now)
        session, shard = await self._session(connection, job, payload)
        message = Message(
            message_id=MessageId(self._ids.new()),
            text=payload.prompt,
            actor=payload.created_by,
            operator=payload.operator,
            proven=payload.proven,
            by_plan=payload.by_plan,
        )
        await self._commands.enqueue(connection, session, CommandKind.MESSAGE, message)
        await self._jobs.sent(connection, job, due, session, message.message_id)
        following = None if rule is None else next_after(rule, due)
        if following is None:
            await self._jobs.end(connection, job, JobState.DISPATCHED, due, payload=payload)
        else:
            await self._jobs.advance(connection, job, following)
        _log.info("job.sent", job_id=str(job.id), session_id=str(session.session_id), due_at=due.isoformat())
        return shard

    async def _session(self, connection: Connection, job: DueJob, payload: JobPayload) -> tuple[SessionScope, int]:
        """Where the prompt goes: a session of its own, or the one to resume, which must be open. And its shard."""
        new = job.target is JobTarget.NEW_SESSION_PROMPT
        session_id = job.session_id or SessionId(self._ids.new())
        session = SessionScope(org_id=job.scope.org_id, project_id=job.scope.project_id, session_id=session_id)
        if new:
            draft = SessionDraft(
                payload.context_vars, payload.metadata, job.tags, None, job.settings, job.external_user_hmac
            )
            shard = (await self._sessions.insert(connection, job.scope, session_id, draft)).shard
        else:
            shard = await self._commands.hold_open(connection, session)
        await self._secrets.put(session, payload.secrets, connection)
        if payload.secrets and not new:
            await self._commands.credentials_changed(connection, session, payload.created_by)
        return session, shard

    async def _failed(self, connection: Connection, job: DueJob, fault: Exception) -> None:
        """Try again later, or give the occurrence up: for good where the fault will stay, else on to the next one."""
        error = _reason(fault)
        lasting = isinstance(fault, PlanVaultError) and not fault.retryable
        known = isinstance(fault, (PlanVaultError, *_HELD))
        _log.warning(
            "job.not_sent",
            job_id=str(job.id),
            attempt=job.attempts + 1,
            error=error,
            exc_info=None if known else fault,
        )
        if not lasting and job.attempts + 1 < MAX_ATTEMPTS:
            await self._jobs.put_off(connection, job, wait_before(job.attempts + 1), error)
            return
        due, following = _occurrences(job)
        await self._jobs.given_up(connection, job, due, error)
        if following is None or lasting:
            payload = await self._readable(job)
            await self._jobs.end(connection, job, JobState.FAILED, due, payload=payload, error=error)
        else:
            await self._jobs.advance(connection, job, following, error)

    async def _readable(self, job: DueJob) -> JobPayload | None:
        try:
            return await self._jobs.payload(job)
        except (PlanVaultError, ValueError):
            return None


def wait_before(failed: int) -> float:
    """Seconds before the next attempt, `failed` ones having been made."""
    return min(_FIRST_WAIT_S * 2.0 ** (failed - 1), _LONGEST_WAIT_S)


def _occurrences(job: DueJob) -> tuple[datetime, datetime | None]:
    """The occurrence that is due and the one after it; none follows where the rule cannot be followed."""
    try:
        rule = job.rule
        if rule is None:
            return job.run_at, None
        due = latest(rule, job.run_at, job.now)
        return due, next_after(rule, due)
    # A newer build's rule, a zone that this build's data lacks: such a job ends, and the others must go on.
    except Exception:  # noqa: BLE001
        _log.exception("job.rule_unusable", job_id=str(job.id))
        return job.run_at, None


def _reason(fault: Exception) -> str:
    """What people may read: our own errors say what to do, of others only the kind is told."""
    if isinstance(fault, PlanVaultError):
        return f"{fault.code}: {fault.detail}".replace("\x00", "")[:_LONGEST_REASON]
    if isinstance(fault, _HELD):
        return "CONFLICT: the session was held by something else at the time"
    return f"INTERNAL: the platform failed on this job ({type(fault).__name__}); its log has more"
