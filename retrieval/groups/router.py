"""Finds the groups nearest to every part of a prompt."""

from typing import Protocol

from models.tenants import ProjectScope
from retrieval.groups.routed import Routed
from retrieval.index.port import CatalogState
from retrieval.query import Query


class GroupRouter(Protocol):
    """The port of the hierarchical tier's first stage; Postgres and resident copies implement it."""

    async def route(self, scope: ProjectScope, query: Query, top_k: int, seen: CatalogState | None = None) -> Routed:
        """The groups nearest to the parts of `query`: up to `top_k` a part, without repetition, nearest first.

        Only groups of integrations that the project has enabled. `query.vectors` are of the model that embedded the
        catalog. Raises nothing for an empty catalog: the answer has no groups. `seen`: see ToolIndex.
        """
        ...
