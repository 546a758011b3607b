"""Calls of tools, and the processes that read their large results."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from models.policies import RunLimits
from models.results import Extract, FragmentAnswer, FragmentRefused, Inspect, Inspected, ResultPlace
from models.tenants import SessionScope
from models.tools import Tool, ToolOutcome
from models.values import Value
from planvault.ports.selection import CallTarget

SecretLookup = Callable[[str], Awaitable[str]]
"""Secret name → value; raises NotFound for a name that no level defines."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One attempt of one call, everything resolved but the secrets."""

    tool: Tool
    args: Mapping[str, Value]
    target: CallTarget
    idempotency_key: str  # hash(run, node, iteration): the same for every attempt
    attempt: int
    limits: RunLimits
    secret: SecretLookup
    place: ResultPlace | None = None  # where a result goes that is too large for the record; None: it stays in memory
    scope: SessionScope | None = None  # whose call it is; None: no session's
    asked_by: str = ""  # who sent the prompt
    masked: tuple[str, ...] = ()  # the run's other secrets: its answers are cleaned of them as well


class ToolExecutor(Protocol):
    async def execute(self, call: ToolCall) -> ToolOutcome:
        """Run the call once. Never raises for what the outside world does: that is a ToolFailed."""
        ...


class ToolWorkers(Protocol):
    """Processes that do what would hold a host's event loop up. What they do can be done again."""

    async def inspect(self, job: Inspect) -> Inspected | FragmentRefused:
        """Raises Unavailable while no worker answers."""
        ...

    async def extract(self, job: Extract) -> FragmentAnswer:
        """Raises Unavailable while no worker answers."""
        ...
