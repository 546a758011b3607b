"""Names of an organisation's tools that others hold, asked for as they are needed: a catalog may have 100,000."""

from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass

from models.ids import IntegrationId
from models.tenants import OrgScope
from models.tools import Integration
from planvault.ingestion.drafts import Extraction
from planvault.ingestion.identity import Identified, candidates, identify
from planvault.storage import catalog_tools
from planvault.storage.catalog_tools import KnownTool
from planvault.storage.pool import Connection


@dataclass(frozen=True, slots=True)
class Compared:
    """An extraction, its integration, and the newest version of each tool that the integration has or had."""

    extraction: Extraction
    integration: Integration
    known: Sequence[KnownTool]


async def compare(
    db: Connection, scope: OrgScope, documents: Sequence[tuple[Extraction, Integration]]
) -> list[Compared]:
    """Extractions beside what the catalog has of their integrations."""
    known: defaultdict[IntegrationId, list[KnownTool]] = defaultdict(list)
    for tool in await catalog_tools.known_tools(db, scope, [integration.id for _, integration in documents]):
        known[tool.integration_id].append(tool)
    return [Compared(extraction, integration, known[integration.id]) for extraction, integration in documents]


async def name_all(db: Connection, scope: OrgScope, documents: Sequence[Compared]) -> list[list[Identified]]:
    """Identify the operations of several documents. The names hold as long as the organisation's are locked.

    Names are given as if those that were not asked about were free, asked about, and given again where one was not.
    """
    wanted = {name for one in documents for name in candidates(one.extraction.drafts, one.integration.alias)} | {
        tool.name for one in documents for tool in one.known
    }
    holders: dict[str, IntegrationId | None] = {}
    while True:
        found = await catalog_tools.name_holders(db, scope, wanted)
        holders.update({name: found.get(name) for name in wanted})
        named, wanted = _given(documents, holders)
        if not wanted:
            return named


def _given(
    documents: Sequence[Compared], holders: dict[str, IntegrationId | None]
) -> tuple[list[list[Identified]], set[str]]:
    """The names by document, and those of them whose holders are not known yet."""
    given: dict[str, IntegrationId] = {}
    named: list[list[Identified]] = []
    for one in documents:
        taken = _Taken(one.integration.id, holders, given)
        identified = identify(one.extraction.drafts, one.integration.alias, one.known, taken)
        given.update({entry.name: one.integration.id for entry in identified})
        named.append(identified)
    return named, given.keys() - holders.keys()


@dataclass(frozen=True, slots=True)
class _Taken(Container[str]):
    """What others than `own` hold in the catalog, or were given just now."""

    own: IntegrationId
    holders: dict[str, IntegrationId | None]
    given: dict[str, IntegrationId]

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        holder = self.given.get(name) or self.holders.get(name)
        return holder is not None and holder != self.own
