"""Documents of a bulk import as its worker sees them: what waits, what became of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import asyncpg

from models.bulk_imports import DocumentStatus, Finding, OperationCounts
from models.ids import IntegrationId, ToolId
from models.tools import Integration, ToolSource
from planvault.storage.bulk_imports import ClaimedJob
from planvault.storage.pool import Connection, Queryable
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/bulk_documents.sql")


@dataclass(frozen=True, slots=True)
class Waiting:
    path: str
    size: int


@dataclass(frozen=True, slots=True)
class OpenDocument:
    """A document that nobody has stored yet. `alias`: what its integration is or would be called."""

    path: str
    alias: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a document. Without an integration it was refused."""

    path: str
    sha256: str
    integration: Integration | None = None
    operations: OperationCounts = field(default_factory=OperationCounts)
    changed: bool = False  # a document that was imported before has changed tools
    server: str = ""


@dataclass(frozen=True, slots=True)
class Vanished:
    """An integration with tools whose document is not part of the job."""

    integration_id: IntegrationId
    alias: str
    path: str
    tools: int


async def mark_unchanged(db: Queryable, claim: ClaimedJob, extraction: int) -> None:
    """Documents of which nothing would change: imported before with these bytes, by this reader or a later one."""
    await db.execute(_SQL["mark_unchanged"], claim.scope.org_id, claim.id, claim.name_prefix, extraction)
    await db.execute(_SQL["keep_aliases"], claim.scope.org_id, claim.id, claim.name_prefix)


async def without_alias(db: Queryable, claim: ClaimedJob) -> list[str]:
    """Paths that no integration stands for yet, in order."""
    return [row["path"] for row in await db.fetch(_SQL["without_alias"], claim.scope.org_id, claim.id)]


async def taken_aliases(db: Queryable, claim: ClaimedJob) -> set[str]:
    return {row["alias"] for row in await db.fetch(_SQL["taken_aliases"], claim.scope.org_id, claim.id)}


async def give_aliases(db: Queryable, claim: ClaimedJob, aliases: Mapping[str, str]) -> None:
    """`aliases` by path."""
    await db.execute(_SQL["give_aliases"], claim.scope.org_id, claim.id, list(aliases), list(aliases.values()))


async def waiting(db: Queryable, claim: ClaimedJob) -> list[Waiting]:
    """In order of their paths."""
    return [Waiting(row["path"], row["size"]) for row in await db.fetch(_SQL["waiting"], claim.scope.org_id, claim.id)]


async def waits_before(db: Queryable, claim: ClaimedJob, paths: Sequence[str]) -> bool:
    """Whether a document waits that comes before all of these."""
    waits: bool = await db.fetchval(_SQL["waits_before"], claim.scope.org_id, claim.id, list(paths))
    return waits


async def bodies(db: Queryable, claim: ClaimedJob, paths: Sequence[str]) -> list[tuple[str, bytes]]:
    """Path and compressed body of those that still wait."""
    rows = await db.fetch(_SQL["bodies"], claim.scope.org_id, claim.id, list(paths))
    return [(row["path"], row["body"]) for row in rows]


async def open_documents(db: Connection, claim: ClaimedJob, paths: Sequence[str]) -> dict[str, OpenDocument]:
    """Those that still wait, by path, held until the transaction ends."""
    rows = await db.fetch(_SQL["open_documents"], claim.scope.org_id, claim.id, list(paths))
    return {row["path"]: OpenDocument(row["path"], row["alias"], row["sha256"]) for row in rows}


async def integrations_of(db: Queryable, claim: ClaimedJob, paths: Sequence[str]) -> dict[str, Integration]:
    """By path; documents that were never imported are missing."""
    rows = await db.fetch(_SQL["integrations_of"], claim.scope.org_id, claim.name_prefix, list(paths))
    return {row["catalog_path"]: _integration(row) for row in rows}


async def create_integrations(
    db: Connection, claim: ClaimedJob, made: Sequence[tuple[IntegrationId, str, str, str]]
) -> dict[str, Integration]:
    """`made`: id, alias, display name, path. By path; those whose alias is taken are missing."""
    columns = [list(column) for column in zip(*made, strict=True)]
    rows = await db.fetch(_SQL["create_integrations"], claim.scope.org_id, claim.name_prefix, *columns)
    return {row["catalog_path"]: _integration(row) for row in rows}


async def record(db: Connection, claim: ClaimedJob, done: Sequence[Imported], extraction: int) -> None:
    """What became of documents, and what their integrations are made of now."""
    stored = [one for one in done if one.integration is not None]
    await db.execute(
        _SQL["documents_read"],
        claim.scope.org_id,
        extraction,
        [one.integration.id for one in stored if one.integration],
        [one.sha256 for one in stored],
        [int(one.changed) for one in stored],
        [one.server for one in stored],
    )
    counts = [one.operations for one in done]
    await db.execute(
        _SQL["documents_done"],
        claim.scope.org_id,
        claim.id,
        [one.path for one in done],
        [(DocumentStatus.STORED if one.integration else DocumentStatus.REFUSED).value for one in done],
        [one.integration and one.integration.id for one in done],
        [one.integration and one.integration.alias for one in done],
        [count.created for count in counts],
        [count.updated for count in counts],
        [count.unchanged for count in counts],
        [count.removed for count in counts],
        [count.skipped for count in counts],
    )


async def add_findings(db: Connection, claim: ClaimedJob, findings: Sequence[Finding]) -> None:
    # As one document: COPY cannot write where row-level security checks what is written.
    lines = [one.model_dump(mode="json") for one in findings]
    await db.execute(_SQL["add_findings"], claim.scope.org_id, claim.id, lines)


async def vanished(db: Queryable, claim: ClaimedJob) -> list[Vanished]:
    rows = await db.fetch(_SQL["vanished"], claim.scope.org_id, claim.id, claim.name_prefix)
    return [Vanished(IntegrationId(row["id"]), row["alias"], row["catalog_path"], row["tools"]) for row in rows]


async def report_vanished(db: Connection, claim: ClaimedJob, one: Vanished, *, removed: int) -> bool:
    """`removed`: tools that were retired. False where it is in the report already."""
    added = await db.fetchval(
        _SQL["report_vanished"], claim.scope.org_id, claim.id, one.path, one.alias, one.integration_id, removed
    )
    return added is not None


async def current_tools(db: Queryable, claim: ClaimedJob, integration_id: IntegrationId) -> list[ToolId]:
    rows = await db.fetch(_SQL["tools_of"], claim.scope.org_id, integration_id)
    return [ToolId(row["id"]) for row in rows]


async def forget_document(db: Connection, claim: ClaimedJob, integration_id: IntegrationId) -> None:
    """So that the same bytes are read again when they come back."""
    await db.execute(_SQL["forget_document"], claim.scope.org_id, integration_id)


async def integrations(db: Queryable, claim: ClaimedJob) -> list[IntegrationId]:
    """Of all documents of the job, those that vanished included."""
    rows = await db.fetch(_SQL["integrations"], claim.scope.org_id, claim.id)
    return [IntegrationId(row["integration_id"]) for row in rows]


def _integration(row: asyncpg.Record) -> Integration:
    return Integration(
        id=row["id"],
        org_id=row["org_id"],
        alias=row["alias"],
        display_name=row["display_name"],
        source=ToolSource(row["source"]),
        base_url=row["base_url"],
        version=row["version"],
    )
