"""The integration that each document stands for: found, or made with its first tools."""

from collections.abc import Mapping

from models.ids import IntegrationId
from models.tools import Integration, ToolSource
from planvault.ingestion.bulk.aliases import marked_alias
from planvault.ports import Ids
from planvault.storage import bulk_documents
from planvault.storage.bulk_documents import OpenDocument
from planvault.storage.bulk_imports import ClaimedJob
from planvault.storage.pool import Connection


def proposed(claim: ClaimedJob, document: OpenDocument, title: str, ids: Ids) -> Integration:
    """What a document without an integration gets, unless somebody takes its alias before."""
    return Integration(
        id=IntegrationId(ids.new()),
        org_id=claim.scope.org_id,
        alias=document.alias,
        display_name=title or document.path[-200:],
        source=ToolSource.OPENAPI,
    )


async def found_or_made(
    connection: Connection, claim: ClaimedJob, wanted: Mapping[str, Integration], ids: Ids
) -> dict[str, Integration]:
    """By path. An integration is made with its first tools, and keeps its alias from then on."""
    found = await bulk_documents.integrations_of(connection, claim, list(wanted))
    aliases = {path: one.alias for path, one in wanted.items() if path not in found}
    while aliases:
        made = [(wanted[path].id, alias, wanted[path].display_name, path) for path, alias in aliases.items()]
        found |= await bulk_documents.create_integrations(connection, claim, made)
        # Somebody has taken the alias since the job began: the path's hash tells them apart, in the end the id does.
        aliases = {path: _other_alias(claim, path, alias, ids) for path, alias in aliases.items() if path not in found}
    return found


def _other_alias(claim: ClaimedJob, path: str, taken: str, ids: Ids) -> str:
    alias = marked_alias(claim.name_prefix, path)
    return alias if alias != taken else f"api-{ids.new().hex}"
