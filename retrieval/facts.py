"""What a selection has to know before it begins: the project's settings, and how large its catalog is."""

from dataclasses import dataclass

from models.retrieval import DEFAULT_MAX_TOOLS, RetrievalOverrides, RetrievalSettings, effective_retrieval
from models.tenants import ProjectScope
from planvault.errors import NotFound
from planvault.storage.pool import Pool
from planvault.storage.queries import load
from planvault.storage.tenancy import scoped
from retrieval.index.port import CatalogState

_SQL = load("retrieval", "sql/selection_facts.sql")
_UNDECIDED = RetrievalOverrides()


@dataclass(frozen=True, slots=True)
class Facts:
    """`size`: the tools that the project has enabled. `catalog`: None where the organisation never had a tool."""

    settings: RetrievalSettings
    size: int
    catalog: CatalogState | None = None


async def read_facts(pool: Pool, scope: ProjectScope) -> Facts:
    """One query. Raises NotFound for a project that is not the organisation's."""
    row = await scoped(pool, scope).fetchrow(_SQL["facts"], scope.org_id, scope.project_id)
    if row is None:
        raise NotFound("There is no such project in this organisation")
    older = row["project_max_tools"]
    settings = effective_retrieval(
        _level(row["organization"]), _level(row["project"]), DEFAULT_MAX_TOOLS if older is None else older
    )
    if row["revision"] is None:
        return Facts(settings, 0)
    return Facts(settings, row["size"], CatalogState(row["revision"], row["tools"], row["switched_off"]))


def _level(stored: object) -> RetrievalOverrides:
    """None where the settings were stored before there was such a field."""
    return _UNDECIDED if stored is None else RetrievalOverrides.model_validate(stored)
