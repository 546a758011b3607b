"""Scenarios as people manage them. Samples, instruction and author are encrypted; vectors have rows of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast
from uuid import UUID

import asyncpg
import orjson

from models.ids import IntegrationId, ProjectId, ToolId
from models.tenants import OrgScope
from planvault.errors import Conflict, FieldError, InvalidInput, NotFound, ToolDeleteBlockedByScenarios
from planvault.ports import Ids, Keyring, OrgCipher, Seal, Vector
from planvault.storage.pool import Connection, Pool, Queryable
from planvault.storage.queries import load
from planvault.storage.tenancy import scoped

SQL = load("planvault.storage", "sql/scenarios.sql")
MOST_MANUAL: Final = 500  # of one organisation: their vectors are compared with every prompt


@dataclass(frozen=True, slots=True)
class ScenarioDraft:
    """A manual scenario as somebody wrote it. `vectors`: one L2-normalised a sample, of the model `embedding_model`."""

    name: str
    project_id: ProjectId | None
    priority: int
    enabled: bool
    tools: tuple[str, ...]
    samples: tuple[str, ...]
    instruction: str
    vectors: tuple[Vector, ...]
    embedding_model: str


@dataclass(frozen=True, slots=True)
class ToolRef:
    """`offered`: whether the catalog offers the tool now; a retired one may come back with its integration."""

    id: ToolId
    name: str
    offered: bool


@dataclass(frozen=True, slots=True)
class ScenarioRecord:
    id: UUID
    project_id: ProjectId | None
    name: str
    priority: int
    enabled: bool
    tools: tuple[ToolRef, ...]
    samples: tuple[str, ...]
    instruction: str
    successes: float  # decayed, as of counted_at
    failures: float
    counted_at: datetime
    created_by: str
    created_at: datetime
    updated_at: datetime


def scenario_seal(scenario_id: UUID, column: str) -> Seal:
    """Where `samples` (JSON list), `instruction` and `created_by` (text) are encrypted."""
    return Seal("table:scenarios", "scenarios", str(scenario_id), column)


class Scenarios:
    """Manual scenarios. Writes run in the caller's transaction."""

    def __init__(self, pool: Pool, keyring: Keyring, ids: Ids) -> None:
        self._pool = pool
        self._keyring = keyring
        self._ids = ids

    async def create(
        self, connection: Connection, scope: OrgScope, draft: ScenarioDraft, created_by: str, at: datetime
    ) -> UUID:
        """Raises InvalidInput for tools that the catalog does not offer, NotFound for a foreign project, Conflict."""
        cipher = await self._keyring.cipher(scope.org_id)
        await connection.execute(SQL["lock"], scope.org_id)
        if await connection.fetchval(SQL["count_manual"], scope.org_id) >= MOST_MANUAL:
            raise Conflict(f"The organisation has {MOST_MANUAL:,} scenarios, as many as may be. Delete some.")
        scenario_id = self._ids.new()
        tool_ids = await _resolved(connection, scope, draft.tools)
        author = cipher.seal(created_by.encode(), scenario_seal(scenario_id, "created_by"))
        written = await connection.fetchval(
            SQL["insert_manual"],
            scope.org_id,
            scenario_id,
            *_columns(scenario_id, draft, tool_ids, cipher),
            author,
            at,
        )
        if written is None:
            raise NotFound("There is no such project in this organisation.")
        await self._write_samples(connection, scope, scenario_id, draft)
        return scenario_id

    async def replace(self, connection: Connection, scope: OrgScope, scenario_id: UUID, draft: ScenarioDraft) -> None:
        """What people say of it is written anew; what runs have taught it stays. Raises as `create`."""
        cipher = await self._keyring.cipher(scope.org_id)
        await connection.execute(SQL["lock"], scope.org_id)
        await self.get(scope, scenario_id, connection)
        tool_ids = await _resolved(connection, scope, draft.tools)
        columns = _columns(scenario_id, draft, tool_ids, cipher)
        if await connection.fetchval(SQL["update_manual"], scope.org_id, scenario_id, *columns) is None:
            raise NotFound("There is no such project in this organisation.")
        await connection.execute(SQL["delete_samples"], scope.org_id, scenario_id)
        await self._write_samples(connection, scope, scenario_id, draft)

    async def delete(self, connection: Connection, scope: OrgScope, scenario_id: UUID) -> None:
        """Raises NotFound."""
        if await connection.fetchval(SQL["delete"], scope.org_id, scenario_id, "manual") is None:
            raise _missing()

    async def get(self, scope: OrgScope, scenario_id: UUID, db: Queryable | None = None) -> ScenarioRecord:
        """Raises NotFound. `db` is the caller's open transaction."""
        found = await self.page(scope, None, 1, only=scenario_id, db=db)
        if not found:
            raise _missing()
        return found[0]

    async def page(
        self,
        scope: OrgScope,
        before: UUID | None,
        limit: int,
        *,
        project_id: ProjectId | None = None,
        only: UUID | None = None,
        db: Queryable | None = None,
    ) -> list[ScenarioRecord]:
        """At most `limit` scenarios, newest first, older than `before`; of one project, or exactly one."""
        db = scoped(self._pool, scope) if db is None else db
        rows = await db.fetch(SQL["page"], scope.org_id, before, project_id, only, limit)
        if not rows:
            return []
        named = await tools_named(db, scope, [tool for row in rows for tool in row["tool_ids"]])
        cipher = await self._keyring.cipher(scope.org_id)
        return [_record(row, named, cipher) for row in rows]

    async def _write_samples(
        self, connection: Connection, scope: OrgScope, scenario_id: UUID, draft: ScenarioDraft
    ) -> None:
        place = (scope.org_id, draft.project_id, scenario_id)
        for vector in draft.vectors:
            await connection.execute(
                SQL["insert_sample"],
                place[0],
                self._ids.new(),
                *place[1:],
                False,
                list(vector),
                draft.embedding_model,
                None,
                None,
                None,
            )


async def leave_integration(
    connection: Connection, scope: OrgScope, integration_id: IntegrationId, *, delete_scenarios: bool
) -> list[str]:
    """Before an integration is deleted: its tools' scenarios and counts go; names of the manual ones that went.

    Raises ToolDeleteBlockedByScenarios where people's scenarios name its tools and `delete_scenarios` is not said.
    """
    await connection.execute(SQL["lock"], scope.org_id)
    await connection.fetchval(SQL["hold_integration"], scope.org_id, integration_id)
    names = [row["name"] for row in await connection.fetch(SQL["of_integration"], scope.org_id, integration_id)]
    if names and not delete_scenarios:
        listed = ", ".join(repr(name) for name in names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        raise ToolDeleteBlockedByScenarios(
            f"Its tools are named by {len(names)} scenario(s): {listed}. Change them, or send "
            "confirmDeleteScenarios=true to delete them too."
        )
    await connection.execute(SQL["forget_integration"], scope.org_id, integration_id)
    return names


async def tools_named(db: Queryable, scope: OrgScope, tool_ids: Sequence[UUID]) -> dict[UUID, ToolRef]:
    rows = await db.fetch(SQL["tools_named"], scope.org_id, list(set(tool_ids)))
    return {row["id"]: ToolRef(row["id"], row["name"], offered=row["current"]) for row in rows}


async def _resolved(connection: Connection, scope: OrgScope, names: Sequence[str]) -> list[UUID]:
    rows = await connection.fetch(SQL["resolve_tools"], scope.org_id, list(names))
    found = {row["name"]: row["id"] for row in rows}
    faults = [
        FieldError(f"/tools/{position}", f"the catalog of this organisation offers no tool named {name}")
        for position, name in enumerate(names)
        if name not in found
    ]
    if faults:
        raise InvalidInput("A scenario names tools that are there.", errors=faults)
    return sorted(set(found.values()))


def _columns(
    scenario_id: UUID, draft: ScenarioDraft, tool_ids: Sequence[UUID], cipher: OrgCipher
) -> tuple[object, ...]:
    """$3 … $9 of `insert_manual` and `update_manual`."""
    samples = cipher.seal(orjson.dumps(list(draft.samples)), scenario_seal(scenario_id, "samples"))
    instruction = None
    if draft.instruction:
        instruction = cipher.seal(draft.instruction.encode(), scenario_seal(scenario_id, "instruction"))
    return draft.project_id, draft.priority, draft.name, draft.enabled, list(tool_ids), samples, instruction


def open_instruction(cipher: OrgCipher, scenario_id: UUID, sealed: bytes | None) -> str:
    if sealed is None:
        return ""
    return cipher.open(sealed, scenario_seal(scenario_id, "instruction")).decode()


def _record(row: asyncpg.Record, named: dict[UUID, ToolRef], cipher: OrgCipher) -> ScenarioRecord:
    scenario_id = cast("UUID", row["id"])
    return ScenarioRecord(
        id=scenario_id,
        project_id=row["project_id"],
        name=row["name"],
        priority=row["priority"],
        enabled=row["enabled"],
        tools=tuple(sorted((named[tool] for tool in row["tool_ids"] if tool in named), key=lambda ref: ref.name)),
        samples=tuple(orjson.loads(cipher.open(row["samples"], scenario_seal(scenario_id, "samples")))),
        instruction=open_instruction(cipher, scenario_id, row["instruction"]),
        successes=row["successes"],
        failures=row["failures"],
        counted_at=row["counted_at"],
        created_by=cipher.open(row["created_by"], scenario_seal(scenario_id, "created_by")).decode(),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _missing() -> NotFound:
    return NotFound("There is no such scenario in this organisation.")
