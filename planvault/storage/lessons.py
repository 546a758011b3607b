"""What runs and votes teach: found, claimed and written down. Whoever learns holds the organisation's scenarios."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import asyncpg

from models.ids import MessageId, OrgId, ProjectId, RunId, SessionId, ToolId
from models.policies import OrgSettings, ProjectSettings
from models.retrieval import RetrievalSettings, effective_retrieval
from models.runs import RunStatus
from models.tenants import OrgScope, ProjectScope, SessionScope
from planvault.errors import NotFound
from planvault.ports import Vector
from planvault.storage.feedback import Vote
from planvault.storage.pool import Connection, Pool, Queryable
from planvault.storage.queries import load
from planvault.storage.scenarios import SQL as SCENARIOS

_SQL = load("planvault.storage", "sql/lessons.sql")
MOST_ENTRIES: Final = 2_000  # automatic scenarios of one organisation: their vectors are compared with every prompt
_MOST_SIMILAR: Final = 50


@dataclass(frozen=True, slots=True)
class EndedRun:
    """`subject`: the keyed hash of the session's external user."""

    id: RunId
    scope: SessionScope
    status: RunStatus
    message_id: MessageId | None
    subject: bytes | None
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class OpenVote:
    id: UUID
    run_id: RunId
    scope: ProjectScope


@dataclass(frozen=True, slots=True)
class VoteToTeach:
    """`taught`: the vote that the scenarios hold of this person, and when it was said."""

    value: Vote
    at: datetime
    taught: tuple[Vote, datetime] | None


@dataclass(frozen=True, slots=True)
class TaughtScenario:
    """`share`: how near it is (the cosine), or how much of a part it had in a run, 0 … 1."""

    id: UUID
    is_manual: bool
    tools: frozenset[ToolId]
    successes: float  # decayed, as of counted_at
    failures: float
    counted_at: datetime
    share: float


@dataclass(frozen=True, slots=True)
class NewSample:
    """The vector of a run's prompt; the prompt itself is not kept."""

    vector: Vector
    model: str
    run: EndedRun


async def ended_runs(pool: Pool, limit: int, without: Collection[OrgId] = ()) -> list[EndedRun]:
    """Of every organisation but those `without`."""
    return [_ended(row) for row in await pool.fetch(_SQL["ended_runs"], limit, list(without))]


async def open_votes(pool: Pool, limit: int) -> list[OpenVote]:
    """Of runs that were learned from: before, nobody knows which scenarios they concern."""
    return [OpenVote(row["id"], RunId(row["run_id"]), _project(row)) for row in await pool.fetch(_SQL["votes"], limit)]


async def lock(connection: Connection, scope: OrgScope) -> None:
    """Whoever learns in the organisation, or changes its scenarios, waits until the transaction ends."""
    await connection.execute(SCENARIOS["lock"], scope.org_id)


async def claim_run(connection: Connection, scope: OrgScope, run_id: RunId) -> bool:
    """Whether the run is this transaction's to learn from: it is then learned from if and only if this commits."""
    return await connection.fetchval(_SQL["claim_run"], scope.org_id, run_id) is not None


async def claim_vote(connection: Connection, scope: OrgScope, vote_id: UUID) -> VoteToTeach | None:
    """The vote as it stands, marked as learned from by this transaction; None where another one was faster."""
    row = await connection.fetchrow(_SQL["claim_vote"], scope.org_id, vote_id)
    if row is None:
        return None
    await connection.execute(_SQL["vote_is_taught"], scope.org_id, vote_id)
    taught = None if row["taught"] is None else (Vote(row["taught"]), row["taught_at"])
    return VoteToTeach(Vote(row["value"]), row["updated_at"], taught)


async def settings_of(connection: Connection, scope: ProjectScope) -> RetrievalSettings:
    """What holds in the project now: asked under the lock, so that nothing is learned that was switched off before."""
    row = await connection.fetchrow(_SQL["settings"], scope.org_id, scope.project_id)
    if row is None:
        raise NotFound("There is no such project in this organisation.")
    organization = OrgSettings.model_validate(row["organization"])
    project = ProjectSettings.model_validate(row["project"])
    return effective_retrieval(organization.retrieval, project.retrieval, project.retrieval_max_tools)


async def tool_ids(db: Queryable, scope: OrgScope, names: frozenset[str]) -> Mapping[str, ToolId]:
    """Current tools by name; what is offered no more is missing."""
    rows = await db.fetch(_SQL["resolve"], scope.org_id, sorted(names))
    return {row["name"]: ToolId(row["id"]) for row in rows}


async def similar(
    connection: Connection, scope: ProjectScope, vector: Vector, model: str, least: float
) -> list[TaughtScenario]:
    """The nearest first, with their cosine as `share`."""
    rows = await connection.fetch(
        _SQL["similar"], scope.org_id, scope.project_id, model, list(vector), least, _MOST_SIMILAR
    )
    return [_taught(row, min(row["similarity"], 1.0)) for row in rows]


async def of_run(connection: Connection, scope: OrgScope, run_id: RunId) -> list[TaughtScenario]:
    rows = await connection.fetch(_SQL["of_run"], scope.org_id, run_id)
    return [_taught(row, row["share"]) for row in rows]


async def create(
    connection: Connection, scope: OrgScope, scenario_id: UUID, tools: frozenset[ToolId], at: datetime
) -> None:
    """An automatic scenario without samples yet; it takes the place of the most faded one where there are too many."""
    await connection.execute(_SQL["evict"], scope.org_id, MOST_ENTRIES - 1)
    await connection.execute(_SQL["insert_automatic"], scope.org_id, scenario_id, sorted(tools), at)


async def subjects(connection: Connection, scope: OrgScope, scenario_id: UUID) -> list[bytes]:
    """Whose prompts the scenario's vectors were made of, one entry a vector; empty for a session without a user."""
    rows = await connection.fetch(_SQL["sample_subjects"], scope.org_id, scenario_id)
    return [row["subject"] for row in rows]


async def add_sample(connection: Connection, scenario_id: UUID, sample_id: UUID, sample: NewSample) -> None:
    run = sample.run
    await connection.execute(
        SCENARIOS["insert_sample"],
        run.scope.org_id,
        sample_id,
        None,
        scenario_id,
        True,
        list(sample.vector),
        sample.model,
        run.id,
        run.scope.session_id,
        run.subject,
    )


async def add_user(connection: Connection, scope: OrgScope, scenario_id: UUID, subject: bytes | None) -> None:
    await connection.execute(_SQL["add_user"], scope.org_id, scenario_id, subject)


async def count(
    connection: Connection, scope: OrgScope, scenario_id: UUID, successes: float, failures: float, at: datetime
) -> None:
    await connection.execute(_SQL["count"], scope.org_id, scenario_id, successes, failures, at)


async def link(connection: Connection, scope: OrgScope, run_id: RunId, scenario_id: UUID, share: float) -> None:
    await connection.execute(_SQL["link"], scope.org_id, run_id, scenario_id, share)


async def use_tools(
    connection: Connection, scope: ProjectScope, tools: Sequence[ToolId], at: datetime, half_life: timedelta
) -> None:
    await connection.execute(_SQL["use_tools"], scope.org_id, scope.project_id, list(tools), at, half_life)


def _ended(row: asyncpg.Record) -> EndedRun:
    place = _project(row)
    return EndedRun(
        id=RunId(row["id"]),
        scope=SessionScope(org_id=place.org_id, project_id=place.project_id, session_id=SessionId(row["session_id"])),
        status=RunStatus(row["status"]),
        message_id=row["message_id"],
        subject=row["subject"],
        ended_at=row["ended_at"],
    )


def _project(row: asyncpg.Record) -> ProjectScope:
    return ProjectScope(org_id=OrgId(row["org_id"]), project_id=ProjectId(row["project_id"]))


def _taught(row: asyncpg.Record, share: float) -> TaughtScenario:
    return TaughtScenario(
        id=row["id"],
        is_manual=row["kind"] == "manual",
        tools=frozenset(map(ToolId, row["tool_ids"])),
        successes=row["successes"],
        failures=row["failures"],
        counted_at=row["counted_at"],
        share=max(0.0, min(share, 1.0)),
    )
