"""Jobs on real Postgres; the dispatcher's time is an argument, so nothing here waits for a job to be due."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from models.commands import CommandKind, Message
from models.ids import JobId, MessageId, SessionId
from models.policies import SessionSettings
from models.schedules import JobTarget, Recurrence
from models.tenants import ProjectScope, SessionScope
from planvault.clock import TimeOrderedIds
from planvault.crypto.kek import LocalKeyWrapper
from planvault.scheduling.booking import Bookings
from planvault.scheduling.dispatch import Dispatcher, Outbound
from planvault.scheduling.orders import JobOrder, Timing
from planvault.storage.audit import AuditLog
from planvault.storage.bootstrap import ensure_default_tenant
from planvault.storage.commands import Commands, command_seal
from planvault.storage.job_dispatch import JobDispatch
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import Pool, open_pool, transaction
from planvault.storage.scheduled_jobs import JobRecord, ScheduledJobs
from planvault.storage.secrets import PostgresSecrets
from planvault.storage.sessions import SessionDraft, SessionRecord, Sessions
from planvault.storage.tenants import Tenants

SHARDS = 8


@dataclass
class Desk:
    """One project whose jobs are made and sent."""

    pool: Pool
    keyring: PostgresKeyring
    scope: ProjectScope
    ids: TimeOrderedIds = field(default_factory=TimeOrderedIds)

    def __post_init__(self) -> None:
        self.sessions = Sessions(self.pool, self.keyring, self.keyring.pseudonym, SHARDS)
        self.secrets = PostgresSecrets(self.pool, self.keyring, self.ids)
        self.commands = Commands(self.pool, self.keyring, self.ids)
        self.jobs = ScheduledJobs(self.pool, self.keyring)
        self.audit = AuditLog(self.pool, self.keyring)
        self.bookings = Bookings(self.jobs, self.commands, Tenants(self.pool, self.ids), self.audit, self.ids)

    async def book(
        self,
        *,
        at: datetime | None = None,
        rule: Recurrence | None = None,
        resume: SessionScope | None = None,
        prompt: str = "tell me",
        **order: Any,
    ) -> JobId:
        target = JobTarget.NEW_SESSION_PROMPT if resume is None else JobTarget.RESUME_SESSION
        timing = Timing(run_at=at, delay_s=0.0 if at is None and rule is None else None, rule=rule)
        session = None if resume is None else resume.session_id
        async with transaction(self.pool) as connection:
            wanted = JobOrder(target, prompt, timing, session, **order)
            return (await self.bookings.book(connection, self.scope, wanted)).job_id

    def dispatcher(
        self, now: datetime | None = None, *, commands: Commands | None = None, pool: Pool | None = None
    ) -> Dispatcher:
        outbound = Outbound(self.sessions, self.secrets, commands or self.commands)
        return Dispatcher(pool or self.pool, JobDispatch(self.keyring, now), outbound, self.ids)

    async def send_all(self, now: datetime | None = None) -> int:
        """Everything that is due at `now`; how many were taken up."""
        dispatcher, taken = self.dispatcher(now), 0
        while count := await dispatcher.dispatch_due():
            taken += count
        return taken

    async def job(self, job_id: JobId) -> JobRecord:
        return await self.jobs.get(self.scope, job_id)

    async def session(self, **settings: Any) -> SessionScope:
        session_id = SessionId(self.ids.new())
        draft = SessionDraft({}, {}, (), None, SessionSettings.model_validate(settings))
        async with transaction(self.pool) as connection:
            await self.sessions.insert(connection, self.scope, session_id, draft)
        return self.at(session_id)

    def at(self, session_id: SessionId | None) -> SessionScope:
        assert session_id is not None
        return SessionScope(**self.scope.model_dump(), session_id=session_id)

    async def opened(self, job_id: JobId) -> list[SessionRecord]:
        """The sessions that the job has opened or resumed, in the order of its occurrences."""
        past = await self.jobs.occurrences(self.scope, job_id, None, 1_000)
        return [await self.sessions.get(self.at(one.session_id)) for one in reversed(past) if one.session_id]

    async def say(self, session: SessionScope, text: str, operator: str = "") -> None:
        """A person's prompt, as the API records it."""
        message = Message(message_id=MessageId(self.ids.new()), text=text, actor="key:test", operator=operator)
        async with transaction(self.pool) as connection:
            await self.commands.enqueue(connection, session, CommandKind.MESSAGE, message)

    async def prompts(self, session: SessionScope) -> list[str]:
        """What was sent to the session, in order of arrival."""
        return [message.text for message in await self.sent(session)]

    async def sent(self, session: SessionScope) -> list[Message]:
        """The session's prompts with who sent them."""
        rows = await self.pool.fetch(
            "SELECT id, kind, payload FROM commands WHERE session_id = $1 ORDER BY seq", session.session_id
        )
        cipher = await self.keyring.session_cipher(session)
        sealed = [(row["payload"], command_seal(session, row["id"])) for row in rows if row["kind"] == "message"]
        return [Message.model_validate_json(cipher.open(payload, place)) for payload, place in sealed]

    async def messages(self) -> int:
        """All prompts that were ever sent in the project."""
        sql = "SELECT count(*) FROM commands WHERE project_id = $1 AND kind = 'message'"
        return int(await self.pool.fetchval(sql, self.scope.project_id))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One keyset for the module's tests, since they share the rows."""
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
async def desk(database_url: str, pool: Pool, keys: Path) -> AsyncIterator[Desk]:
    """A project without jobs: what earlier tests of the module left is gone."""
    ids = TimeOrderedIds()
    key_pool = await open_pool(database_url, name="keys", maximum=2)
    keyring = PostgresKeyring(key_pool, LocalKeyWrapper.at(keys / "keyset.json"), ids)
    tenant = await ensure_default_tenant(pool, ids)
    scope = ProjectScope(org_id=tenant.org_id, project_id=tenant.project_id)
    await pool.execute("DELETE FROM scheduled_jobs")
    await pool.execute("DELETE FROM sessions")
    yield Desk(pool, keyring, scope, ids)
    await key_pool.close()
