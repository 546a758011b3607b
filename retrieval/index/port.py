"""The port of an index over the tools that a project may be offered."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from models.ids import IntegrationId, ToolId
from models.tenants import ProjectScope
from retrieval.query import IndexedTool, Pool, Query


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How many candidates each part of a query may bring: the nearest by vector, the best by text.

    `whole`: every enabled tool is a candidate, whatever the other two say (Direct, FlatRag).
    """

    dense: int = 100
    lexical: int = 100
    whole: bool = False


@dataclass(frozen=True, slots=True)
class CatalogState:
    """What an organisation's catalog was when somebody looked. `tools`: active ones, of all integrations;
    `switched_off`: the integrations that the project does not use."""

    revision: int
    tools: int
    switched_off: Sequence[IntegrationId]


class ToolIndex(Protocol):
    """Two implementations, Postgres and resident, are held to one contract (tests/integration/retrieval).

    Every answer is about the tools of `scope`'s organisation whose integrations `scope`'s project has not switched off,
    as they were committed when the call began or later. `seen`: what the caller has just read of the catalog, so that
    nobody reads it again: the answer is then as of that look or later.
    """

    async def search(
        self,
        scope: ProjectScope,
        query: Query,
        limits: PoolLimits,
        groups: Sequence[UUID] | None = None,
        include: Sequence[ToolId] = (),
        seen: CatalogState | None = None,
    ) -> Pool:
        """The candidates of all parts of `query` with complete raw scores, in no particular order.

        `groups` restricts what is found by vector to those tool groups and to tools that are in no group yet; what is
        found by text comes from everywhere. A tool without a vector has NaN in `dense`; it is found by text, or where
        the whole catalog is asked for.

        `include`: enabled tools that are candidates whatever their scores (a scenario's, the producers of an input);
        others among them are left out. With limits of 0 they are scored and nothing is searched.
        """
        ...

    async def producers(
        self,
        scope: ProjectScope,
        integrations: Sequence[IntegrationId],
        entities: Sequence[str],
        limit: int,
        seen: CatalogState | None = None,
    ) -> list[IndexedTool]:
        """Tools of these integrations that produce one of these entities, at most `limit` an entity, by name."""
        ...
