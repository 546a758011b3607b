"""Works out what operations become before their names are locked.

Who locks an organisation's names makes every other import of it wait. What takes long, a definition's hash and the
index's row, depends on nothing but the operation, its name and its group: it is made with the names that would be given
now, and made again under the lock for the few that have turned out otherwise by then.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from models.tenants import OrgScope
from models.tools import Integration
from planvault.ingestion.drafts import Extraction
from planvault.ingestion.identity import Identified
from planvault.ingestion.names import compare, name_all
from planvault.ingestion.reconcile import Foreseen, Version, version_of
from planvault.ports import Ids
from planvault.storage.pool import Connection
from retrieval.index.entries import index_row

# Of one document: their index rows are in memory together, 10 KB and more each.
MAX_FORESEEN = 5_000


async def names_of(
    db: Connection, scope: OrgScope, documents: Sequence[tuple[Extraction, Integration]]
) -> list[list[Identified]]:
    """The names that the documents' operations would get now; nothing keeps others from taking them."""
    return await name_all(db, scope, await compare(db, scope, documents))


async def foresee(
    documents: Sequence[tuple[Extraction, Integration]], named: Sequence[Sequence[Identified]], ids: Ids
) -> list[Foreseen]:
    """In the order of the documents. Needs no database: call it when the transaction of `names_of` has ended."""
    return await asyncio.to_thread(
        lambda: [
            Foreseen(integration, [_version(found, integration, ids) for found in islice(identified, MAX_FORESEEN)])
            for (_, integration), identified in zip(documents, named, strict=True)
        ]
    )


def _version(found: Identified, integration: Integration, ids: Ids) -> Version:
    version = version_of(found, integration, ids)
    return replace(version, row=index_row(version.tool)) if version.is_news else version
