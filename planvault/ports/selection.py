"""Finding tools: embeddings, the shortlist, the catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from models.ids import ToolId
from models.planning import Selection, SelectionOptions
from models.policies import EgressPolicy
from models.tenants import ProjectScope
from models.tools import IntegrationState, Tool

Vector = Sequence[float]
Span = tuple[int, int]  # of a text, in characters: begin, end (not included)


@dataclass(frozen=True, slots=True)
class CallTarget:
    base_url: str
    state: IntegrationState
    egress: EgressPolicy


class Embedder(Protocol):
    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        """L2-normalised embeddings, one per text, in order."""
        ...

    async def embed_prompt(self, text: str, spans: Sequence[Span]) -> list[Vector]:
        """The vector of the whole text, as `embed` gives it, then one a span, as the whole text reads it."""
        ...


class ToolSelector(Protocol):
    async def select(self, scope: ProjectScope, query: str, options: SelectionOptions | None = None) -> Selection:
        """The shortlist for a prompt, under the project's settings as they stand now."""
        ...


class Catalog(Protocol):
    async def tools(self, scope: ProjectScope, ids: Sequence[tuple[ToolId, int]]) -> list[Tool]:
        """Tools at exactly these versions, in the order asked for."""
        ...

    async def binding(self, scope: ProjectScope, tool: Tool) -> CallTarget:
        """Where and how the project calls a tool now."""
        ...
