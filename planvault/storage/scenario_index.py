"""Scenarios and use of tools as selection looks for them: vectors in, counts out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from pgvector import Vector

from models.ids import ToolId
from models.tenants import OrgScope, ProjectScope
from planvault.ports import Keyring
from planvault.storage.pool import Connection, Queryable
from planvault.storage.scenarios import SQL, open_instruction

_MOST_NEAR = 20
_MOST_USED = 1_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which scenarios count. `users`: how many people must stand behind an automatic one; `least`: the cosine."""

    model: str
    least: float
    users: int = 1
    manual: bool = True
    automatic: bool = True


@dataclass(frozen=True, slots=True)
class NearScenario:
    """`similarity`: the largest cosine of a sample to one of the vectors. `tools`: those the project may call now."""

    id: UUID
    name: str
    priority: int
    tools: tuple[ToolId, ...]
    successes: float  # decayed, as of counted_at
    failures: float
    counted_at: datetime
    similarity: float
    sealed_instruction: bytes | None


async def near_scenarios(
    db: Queryable, scope: ProjectScope, vectors: NDArray[np.float32], wanted: Wanted
) -> list[NearScenario]:
    """The nearest at `wanted.least` or more, nearest first. `vectors`: shape (n, 384), L2-normalised."""
    rows = await db.fetch(
        SQL["near"],
        scope.org_id,
        scope.project_id,
        wanted.model,
        [Vector(vector) for vector in vectors],  # bare arrays in a list read as one array of more dimensions
        wanted.least,
        _MOST_NEAR,
        wanted.manual,
        wanted.automatic,
        wanted.users,
    )
    return [
        NearScenario(
            id=row["id"],
            name=row["name"],
            priority=row["priority"],
            tools=tuple(map(ToolId, row["callable"])),
            successes=row["successes"],
            failures=row["failures"],
            counted_at=row["counted_at"],
            similarity=row["similarity"],
            sealed_instruction=row["instruction"],
        )
        for row in rows
    ]


async def instruction_of(keyring: Keyring, scope: OrgScope, near: NearScenario) -> str:
    """The template as it was written, unfilled."""
    return open_instruction(await keyring.cipher(scope.org_id), near.id, near.sealed_instruction)


async def usage_of(
    connection: Connection, scope: ProjectScope, now: datetime, half_life: timedelta
) -> Mapping[ToolId, float]:
    """Uses of the project's most used tools, decayed to `now`."""
    rows = await connection.fetch(SQL["usage"], scope.org_id, scope.project_id, _MOST_USED, now, half_life)
    return {ToolId(row["tool_id"]): row["uses"] for row in rows}
