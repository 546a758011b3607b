"""Writes what was read of a portion of documents: one transaction, fenced by the job's lease.

Done again it does nothing: a document that is no longer waiting was stored before.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import asyncpg
import structlog
from pydantic import ValidationError

from models.bulk_imports import Finding, OperationCounts
from models.ids import IntegrationId
from models.tools import ImportOutcome, Integration, OperationReport
from planvault.ingestion.bulk.aliases import marked_alias
from planvault.ingestion.drafts import Extraction
from planvault.ingestion.names import Compared, name_all
from planvault.ingestion.openapi import EXTRACTION
from planvault.ingestion.reconcile import Changes, reconcile
from planvault.ingestion.store import PATIENCE, write
from planvault.ports import Ids
from planvault.storage import bulk_documents, bulk_imports, catalog_tools
from planvault.storage.bulk_documents import Imported, OpenDocument
from planvault.storage.bulk_imports import ClaimedJob
from planvault.storage.catalog_tools import KnownTool
from planvault.storage.pool import Connection, Pool
from planvault.storage.tenancy import within

_log = structlog.get_logger(__name__)

# What a document may bring about in the database or in our vocabulary, though the extraction let it pass.
_OF_THE_DOCUMENT = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,  # a definition beyond what a jsonb value may hold
    ValidationError,
    UnicodeError,
)


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """What reading a document gave: the JSON of its `Extraction`, or why it was refused."""

    path: str
    extraction: bytes | None = None
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class _Extracted:
    open: OpenDocument
    extraction: Extraction


async def store_documents(pool: Pool, claim: ClaimedJob, documents: Sequence[ReadDocument], ids: Ids) -> None:
    """Raises OwnershipLost where another worker took the job over or it was cancelled; then nothing is written."""
    try:
        await _store(pool, claim, documents, ids)
    except _OF_THE_DOCUMENT as fault:
        if len(documents) == 1:
            reason = f"The catalog cannot hold what the document says ({type(fault).__name__})."
            _log.warning("bulk_import.document_refused", path=documents[0].path, cause=str(fault)[:500])
            await _store(pool, claim, [ReadDocument(documents[0].path, refusal=reason)], ids)
            return
        for document in documents:  # one of them; the others are none the worse for it
            await store_documents(pool, claim, [document], ids)


async def _store(pool: Pool, claim: ClaimedJob, documents: Sequence[ReadDocument], ids: Ids) -> None:
    extracted = await asyncio.to_thread(_parsed, documents)
    async with within(pool, claim.scope) as connection:
        await connection.execute(PATIENCE)
        await catalog_tools.lock_names(connection, claim.scope)
        await bulk_imports.hold_job(connection, claim)
        still = await bulk_documents.open_documents(connection, claim, [one.path for one in documents])
        refused = [one for one in documents if one.path in still and one.path not in extracted]
        read = [_Extracted(still[path], extracted[path]) for path in extracted if path in still]
        compared = await _compared(connection, claim, read, ids)
        named = await name_all(connection, claim.scope, compared)
        changes = await asyncio.to_thread(
            lambda: [
                reconcile(one.extraction, one.integration, identified, one.known, ids)
                for one, identified in zip(compared, named, strict=True)
            ]
        )
        done = [Imported(one.path, still[one.path].sha256) for one in refused]
        done += [_imported(one, *pair) for one, pair in zip(read, zip(compared, changes, strict=True), strict=True)]
        findings = [_refusal(one) for one in refused]
        findings += [line for one, made in zip(read, changes, strict=True) for line in _findings(one, made)]
        await bulk_documents.record(connection, claim, done, EXTRACTION)
        await bulk_documents.add_findings(connection, claim, findings)
        await write(connection, claim.scope, changes)


def _parsed(documents: Sequence[ReadDocument]) -> dict[str, Extraction]:
    """By path; without those that were refused or describe nothing."""
    read = {one.path: Extraction.model_validate_json(one.extraction) for one in documents if one.extraction is not None}
    return {path: extraction for path, extraction in read.items() if extraction.drafts or extraction.skipped}


async def _compared(connection: Connection, claim: ClaimedJob, read: Sequence[_Extracted], ids: Ids) -> list[Compared]:
    integrations = await _integrations(connection, claim, read, ids)
    known: defaultdict[IntegrationId, list[KnownTool]] = defaultdict(list)
    for tool in await catalog_tools.known_tools(
        connection, claim.scope, [integration.id for integration in integrations.values()]
    ):
        known[tool.integration_id].append(tool)
    return [
        Compared(one.extraction, found, known[found.id]) for one in read for found in (integrations[one.open.path],)
    ]


async def _integrations(
    connection: Connection, claim: ClaimedJob, read: Sequence[_Extracted], ids: Ids
) -> dict[str, Integration]:
    """By path. An integration is made with its first tools, and keeps its alias from then on."""
    found = await bulk_documents.integrations_of(connection, claim, [one.open.path for one in read])
    missing = [one for one in read if one.open.path not in found]
    aliases = [one.open.alias for one in missing]
    while missing:
        made = [
            (IntegrationId(ids.new()), alias, one.extraction.title or one.open.path[-200:], one.open.path)
            for one, alias in zip(missing, aliases, strict=True)
        ]
        found |= await bulk_documents.create_integrations(connection, claim, made)
        # Somebody has taken the alias since the job began: the path's hash tells them apart, in the end the id does.
        left = [(one, alias) for one, alias in zip(missing, aliases, strict=True) if one.open.path not in found]
        aliases = [_other_alias(claim, one, alias, ids) for one, alias in left]
        missing = [one for one, _ in left]
    return found


def _other_alias(claim: ClaimedJob, one: _Extracted, taken: str, ids: Ids) -> str:
    alias = marked_alias(claim.name_prefix, one.open.path)
    return alias if alias != taken else f"api-{ids.new().hex}"


def _imported(one: _Extracted, compared: Compared, changes: Changes) -> Imported:
    outcomes = Counter(entry.outcome for entry in changes.report)
    server = one.extraction.server
    return Imported(
        path=one.open.path,
        sha256=one.open.sha256,
        integration=compared.integration,
        operations=OperationCounts(**{outcome.value: outcomes[outcome] for outcome in ImportOutcome}),
        changed=bool(compared.known and changes.any),
        server=server if server.startswith(("http://", "https://")) else "",
    )


def _refusal(one: ReadDocument) -> Finding:
    return Finding(
        path=one.path, position=0, outcome="refused", problems=(one.refusal or "The document describes no operations.",)
    )


def _findings(one: _Extracted, changes: Changes) -> Iterator[Finding]:
    """Of the operations those of which there is something to say."""
    for position, entry in enumerate(changes.report):
        if entry.problems or entry.outcome in {ImportOutcome.SKIPPED, ImportOutcome.REMOVED}:
            yield _finding(one.open.path, position, entry)


def _finding(path: str, position: int, entry: OperationReport) -> Finding:
    return Finding(
        path=path,
        position=position,
        operation=entry.operation,
        outcome=entry.outcome.value,
        tool=entry.tool,
        problems=entry.problems,
    )
