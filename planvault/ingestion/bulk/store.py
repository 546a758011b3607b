"""Writes what was read of a portion of documents: one transaction, fenced by the job's lease.

Done again it does nothing: a document that is no longer waiting was stored before.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import asyncpg
import structlog
from pydantic import ValidationError

from models.bulk_imports import Finding, OperationCounts
from models.tools import ImportOutcome, OperationReport
from planvault.ingestion.bulk.integrations import found_or_made, proposed
from planvault.ingestion.bulk.turns import in_turn
from planvault.ingestion.drafts import Extraction
from planvault.ingestion.foresight import foresee, names_of
from planvault.ingestion.names import Compared, compare, name_all
from planvault.ingestion.openapi import EXTRACTION
from planvault.ingestion.reconcile import Changes, Foreseen, reconcile
from planvault.ingestion.store import PATIENCE, write
from planvault.ports import Ids
from planvault.storage import bulk_documents, bulk_imports, catalog_tools
from planvault.storage.bulk_documents import Imported, OpenDocument
from planvault.storage.bulk_imports import ClaimedJob
from planvault.storage.pool import Pool
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
class _Stored:
    """A document, and what it changed in the catalog."""

    open: OpenDocument
    compared: Compared
    changes: Changes


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
    foreseen = await _foreseen(pool, claim, extracted, ids)
    await in_turn(pool, claim, [one.path for one in documents])
    async with within(pool, claim.scope) as connection:
        await connection.execute(PATIENCE)
        await catalog_tools.lock_names(connection, claim.scope)
        await bulk_imports.hold_job(connection, claim)
        still = await bulk_documents.open_documents(connection, claim, [one.path for one in documents])
        refused = [one for one in documents if one.path in still and one.path not in extracted]
        read = [path for path in extracted if path in still]
        integrations = await found_or_made(connection, claim, {path: foreseen[path].integration for path in read}, ids)
        compared = await compare(connection, claim.scope, [(extracted[path], integrations[path]) for path in read])
        named = await name_all(connection, claim.scope, compared)
        stored = await asyncio.to_thread(
            lambda: [
                _Stored(still[path], one, reconcile(one, identified, ids, foreseen[path]))
                for path, one, identified in zip(read, compared, named, strict=True)
            ]
        )
        done = [Imported(one.path, still[one.path].sha256) for one in refused]
        findings = [_refusal(one) for one in refused]
        await bulk_documents.record(connection, claim, done + [_imported(one) for one in stored], EXTRACTION)
        await bulk_documents.add_findings(
            connection, claim, findings + [line for one in stored for line in _findings(one)]
        )
        await write(connection, claim.scope, [one.changes for one in stored])


def _parsed(documents: Sequence[ReadDocument]) -> dict[str, Extraction]:
    """By path; without those that were refused or describe nothing."""
    read = {one.path: Extraction.model_validate_json(one.extraction) for one in documents if one.extraction is not None}
    return {path: extraction for path, extraction in read.items() if extraction.drafts or extraction.skipped}


async def _foreseen(
    pool: Pool, claim: ClaimedJob, extracted: Mapping[str, Extraction], ids: Ids
) -> dict[str, Foreseen]:
    """By path, of the documents that still wait; what would be written of them if it came now."""
    async with within(pool, claim.scope) as connection:
        await connection.execute(PATIENCE)
        still = await bulk_documents.open_documents(connection, claim, list(extracted))
        found = await bulk_documents.integrations_of(connection, claim, list(still))
        documents = [
            (extracted[path], found.get(path) or proposed(claim, one, extracted[path].title, ids))
            for path, one in still.items()
        ]
        named = await names_of(connection, claim.scope, documents)
    return dict(zip(still, await foresee(documents, named, ids), strict=True))


def _imported(one: _Stored) -> Imported:
    outcomes = Counter(entry.outcome for entry in one.changes.report)
    server = one.compared.extraction.server
    return Imported(
        path=one.open.path,
        sha256=one.open.sha256,
        integration=one.compared.integration,
        operations=OperationCounts(**{outcome.value: outcomes[outcome] for outcome in ImportOutcome}),
        changed=bool(one.compared.known and one.changes.any),
        server=server if server.startswith(("http://", "https://")) else "",
    )


def _refusal(one: ReadDocument) -> Finding:
    return Finding(
        path=one.path, position=0, outcome="refused", problems=(one.refusal or "The document describes no operations.",)
    )


def _findings(one: _Stored) -> Iterator[Finding]:
    """Of the operations those of which there is something to say."""
    for position, entry in enumerate(one.changes.report):
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
