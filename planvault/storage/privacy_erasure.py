"""An erasure, portion by portion. Each portion is short and commits with its count; what is left to do is read from the
rows themselves, so a worker may die anywhere and another goes on.

Why nothing comes back: from the request's commit on the database refuses new sessions and jobs of the person (or in
the project); once a session is fenced it refuses the session's events, whatever a host still holds in memory; what
refers to a session goes with its row and cannot be inserted after it; and everything is looked for a second time after
all processes have forgotten the keys.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from uuid import UUID

import structlog

from models.commands import Action, CommandKind
from models.ids import ProjectId, SessionId
from models.privacy import Stage, Target
from models.tenants import OrgScope, ProjectScope, SessionScope
from planvault.crypto.keyring import REFRESH_AFTER_S
from planvault.ports import Keyring
from planvault.storage.audit import AuditErasure
from planvault.storage.commands import Commands
from planvault.storage.files.folder import EventFolder
from planvault.storage.keys import shred_user
from planvault.storage.pool import Connection, Pool, transaction
from planvault.storage.privacy import SQL as REQUESTS
from planvault.storage.privacy import Detail
from planvault.storage.privacy_answers import AnswerErasure
from planvault.storage.privacy_claims import Claim, position_of, set_position, stage_age_s
from planvault.storage.privacy_traces import TraceErasure
from planvault.storage.queries import load
from planvault.storage.session_removal import Removed, remove_folders, remove_portion
from planvault.storage.tenancy import stepped_into, within

_SQL = load("planvault.storage", "sql/privacy_erasure.sql")
_STAFF = load("planvault.storage", "sql/privacy_staff.sql")
_log = structlog.get_logger(__name__)

SESSIONS_A_PAGE = 20
_CLOSED_AT_ONCE = 50
_AUDIT_ROWS = 200
_PEOPLE = 100
_FOLDERS = 500
NOBODY = UUID(int=0)


class Outcome(Enum):
    MORE = auto()  # call again at once
    WAIT = auto()  # for others; call again in a while
    DONE = auto()  # on to the next stage


@dataclass(frozen=True, slots=True)
class Patience:
    """`grace`: how long runs may take to stop before their sessions are closed off all the same. `settling`: longer
    than any process keeps a key that was destroyed, and any request lasts."""

    grace: timedelta = timedelta(seconds=30)
    settling: timedelta = timedelta(seconds=REFRESH_AFTER_S + 35)


class Erasure:
    """`pool` may work across organisations; what is done in one is done as that one."""

    def __init__(
        self,
        pool: Pool,
        keyring: Keyring,
        commands: Commands,
        audit: AuditErasure,
        answers: AnswerErasure,
        folder: EventFolder | None,
        patience: Patience,
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._commands = commands
        self._audit = audit
        self._answers = answers
        self._traces = TraceErasure(pool, keyring, audit)
        self._folder = folder
        self._patience = patience
        self._steps: Mapping[Stage, Callable[[Claim, Detail], Awaitable[Outcome]]] = {
            Stage.STOPPING: self._stop,
            Stage.CLOSING_OFF: self._close_off,
            Stage.SHREDDING: self._shred,
            Stage.ANSWERS: self._forget_answers,
            Stage.RECORDS: self._remove_records,
            Stage.TRACES: self._remove_traces,
            Stage.SETTLING: self._settle,
            Stage.ANSWERS_AGAIN: self._forget_answers,
            Stage.RECORDS_AGAIN: self._remove_records,
            Stage.TRACES_AGAIN: self._remove_traces,
        }

    async def step(self, claim: Claim, detail: Detail) -> Outcome:
        """One portion of the request's stage. Raises ClaimLost, and what an absent database or Redis raises."""
        return await self._steps[Stage(claim.request.stage)](claim, detail)

    # ── nothing goes on ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _stop(self, claim: Claim, detail: Detail) -> Outcome:
        """Ask the sessions' hosts to end them: a run is told, and not only cut off."""
        async with within(self._pool, claim.scope) as connection:
            await connection.fetch(_SQL["stop_jobs"], *claim.target)
            found = await connection.fetch(_SQL["active_sessions"], *claim.target, _CLOSED_AT_ONCE)
        for row in found:
            await self._close(_session(claim.scope, row["project_id"], row["id"]))
        if found:
            return Outcome.MORE
        async with within(self._pool, claim.scope) as connection:
            if await stage_age_s(connection, claim) >= self._patience.grace.total_seconds():
                return Outcome.DONE
            restless = await connection.fetchval(_SQL["is_restless"], *claim.target)
        return Outcome.WAIT if restless else Outcome.DONE

    async def _close(self, session: SessionScope) -> None:
        await self._keyring.session_cipher(session)  # before: the transaction must not wait for a second connection
        async with within(self._pool, session) as connection:
            shard = await connection.fetchval(_SQL["close_session"], session.org_id, session.session_id)
            if shard is not None:
                await self._commands.enqueue(connection, session, CommandKind.CLOSE, Action(actor="erasure"))
        if shard is not None:
            await self._commands.wake(shard)

    async def _close_off(self, claim: Claim, detail: Detail) -> Outcome:
        """First the fences, committed; then wait until no append is under way that began before them."""
        async with within(self._pool, claim.scope) as connection:
            await connection.execute(_SQL["fence"], *claim.target, claim.request.id)
            shards = [row["shard"] for row in await connection.fetch(_SQL["fenced_shards"], *claim.place)]
            await claim.progress(connection, {})
        async with transaction(self._pool) as connection:
            await connection.fetch(_SQL["await_appends"], shards)
        return Outcome.DONE

    async def _shred(self, claim: Claim, detail: Detail) -> Outcome:
        if claim.request.target is Target.PROJECT:
            return await self._shred_who_is_only_here(claim)
        async with within(self._pool, claim.scope) as connection:
            shredded = [await shred_user(connection, claim.scope, subject) for subject in claim.request.subjects]
            await claim.progress(connection, {"data_keys": sum(shredded)})
        return Outcome.DONE

    async def _shred_who_is_only_here(self, claim: Claim) -> Outcome:
        """People who have nothing in another project: one key holds all that the organisation has of them."""
        async with within(self._pool, claim.scope) as connection:
            after = bytes.fromhex(str((await position_of(connection, claim)).get("after", "")))
            rows = await connection.fetch(_SQL["people_of_project"], *claim.target[:2], after, _PEOPLE)
            shredded = 0
            for row in rows:
                await connection.execute(REQUESTS["hold"], claim.request.org_id, row["who"])
                if not await connection.fetchval(_SQL["is_elsewhere"], *claim.target[:2], row["who"]):
                    shredded += await shred_user(connection, claim.scope, row["who"])
            if rows:
                await set_position(connection, claim, {"after": rows[-1]["who"].hex()})
            await claim.progress(connection, {"data_keys": shredded})
        return Outcome.MORE if len(rows) == _PEOPLE else Outcome.DONE

    # ── everything goes ──────────────────────────────────────────────────────────────────────────────────────────────

    async def _forget_answers(self, claim: Claim, detail: Detail) -> Outcome:
        final = claim.request.stage == Stage.ANSWERS_AGAIN
        return Outcome.MORE if await self._answers.portion(claim, detail, final=final) else Outcome.DONE

    async def _remove_records(self, claim: Claim, detail: Detail) -> Outcome:
        async with within(self._pool, claim.scope) as connection:
            rows = await connection.fetch(_SQL["next_sessions"], *claim.target, SESSIONS_A_PAGE)
            sessions = [SessionId(row["id"]) for row in rows]
            removed = await self._portion(connection, claim, sessions) if sessions else Removed(Counter())
            await claim.progress(connection, removed.counts)
        await remove_folders(self._folder, removed.sessions)
        return Outcome.MORE if sessions else await self._remove_fenced_folders(claim)

    async def _portion(self, connection: Connection, claim: Claim, sessions: list[SessionId]) -> Removed:
        why = f"erasure {claim.request.id}"
        blanked = await self._audit.of_sessions(connection, claim.scope, sessions, _AUDIT_ROWS, "erasure", why)
        if blanked:
            return Removed(Counter({"audit_log": blanked}))
        return await remove_portion(connection, claim.scope, sessions)

    async def _remove_fenced_folders(self, claim: Claim) -> Outcome:
        """Of a worker that died between the rows and the files, and of a host that wrote a file which never counted."""
        if self._folder is None:
            return Outcome.DONE
        async with within(self._pool, claim.scope) as connection:
            after = UUID(str((await position_of(connection, claim)).get("after", NOBODY)))
            rows = await connection.fetch(_SQL["fenced_sessions"], *claim.place, after, _FOLDERS)
            if rows:
                await set_position(connection, claim, {"after": str(rows[-1]["session_id"])})
            await claim.progress(connection, {})
        await remove_folders(self._folder, [(row["shard"], SessionId(row["session_id"])) for row in rows])
        return Outcome.MORE if len(rows) == _FOLDERS else Outcome.DONE

    async def _remove_traces(self, claim: Claim, detail: Detail) -> Outcome:
        if await self._traces.portion(claim, detail):
            return Outcome.MORE
        if claim.request.stage == Stage.TRACES_AGAIN and claim.request.project_id is not None:
            return await self._remove_project(claim, claim.request.project_id)
        if claim.request.stage == Stage.TRACES_AGAIN and claim.request.target is Target.MEMBER:
            return await self._remove_person(claim)
        return Outcome.DONE

    async def _remove_project(self, claim: Claim, project_id: ProjectId) -> Outcome:
        place = ProjectScope(org_id=claim.request.org_id, project_id=project_id)
        async with within(self._pool, claim.scope) as connection:
            await connection.execute(REQUESTS["hold"], claim.request.org_id, project_id.bytes)
            await connection.execute(_SQL["hold_project"], place.org_id, place.project_id)
            if not await connection.fetchval(_SQL["project_is_empty"], place.org_id, place.project_id):
                raise AssertionError("a project that is erased gets nothing new")
            gone = await connection.fetchval(_SQL["delete_project"], place.org_id, place.project_id)
            await claim.progress(connection, {"projects": int(gone is not None)})
        return Outcome.DONE

    async def _remove_person(self, claim: Claim) -> Outcome:
        """Whom another organisation has among its people stays theirs."""
        async with transaction(self._pool) as connection:
            gone = await connection.fetchval(_STAFF["delete_user"], UUID(bytes=claim.request.subjects[0]))
            async with stepped_into(connection, claim.scope):
                await claim.progress(connection, {"users": int(gone)})
        return Outcome.DONE

    async def _settle(self, claim: Claim, detail: Detail) -> Outcome:
        async with within(self._pool, claim.scope) as connection:
            age = await stage_age_s(connection, claim)
        return Outcome.DONE if age >= self._patience.settling.total_seconds() else Outcome.WAIT


def _session(scope: OrgScope, project_id: UUID, session_id: UUID) -> SessionScope:
    return SessionScope(org_id=scope.org_id, project_id=ProjectId(project_id), session_id=SessionId(session_id))
