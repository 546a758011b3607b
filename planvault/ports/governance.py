"""What organisation, project and session have decided for a run: policies and secrets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from models.base import JsonObject
from models.policies import OrgSettings, ProjectSettings, SessionSettings
from models.tenants import SessionScope


class Secrets(Protocol):
    async def names(self, scope: SessionScope) -> list[str]:
        """Names a session may use: its own, its project's, its organisation's."""
        ...

    async def value(self, scope: SessionScope, name: str) -> str:
        """Session over project over organisation. Raises NotFound."""
        ...


@dataclass(frozen=True, slots=True)
class RunPolicy:
    """What organisation, project and session have decided, as it stands when a run starts."""

    project: ProjectSettings
    session: SessionSettings
    context_vars: JsonObject
    organization: OrgSettings = field(default_factory=OrgSettings)
    tags: tuple[str, ...] = ()  # of the session


class Policies(Protocol):
    async def of_run(self, scope: SessionScope) -> RunPolicy: ...
