"""Imports: asked for by the API, claimed by a worker under a lease, watched by whoever asked."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from models.base import JsonObject
from models.ids import ImportId, IntegrationId
from models.imports import ImportJob
from models.tenants import OrgScope
from models.tools import ImportStatus, OperationReport
from planvault.errors import NotFound, OwnershipLost
from planvault.storage.pool import Queryable
from planvault.storage.queries import load

_SQL = load("planvault.storage", "sql/catalog_imports.sql")

CHANNEL = "planvault_imports"


@dataclass(frozen=True, slots=True)
class ClaimedImport:
    """An import that this worker holds. `attempt` fences its writes: a later claim raises it."""

    id: ImportId
    scope: OrgScope
    integration_id: IntegrationId
    status: ImportStatus
    attempt: int
    document: str | None
    spec_url: str | None


async def create_import(
    db: Queryable,
    scope: OrgScope,
    import_id: ImportId,
    integration_id: IntegrationId,
    *,
    document: str | None = None,
    spec_url: str | None = None,
) -> ImportJob:
    """Queue an import of a text or of what a URL serves. Inside a transaction the wake-up leaves with its commit."""
    if (document is None) == (spec_url is None):
        raise ValueError("an import has either a document or a URL")
    row = await db.fetchrow(_SQL["insert_import"], scope.org_id, import_id, integration_id, document, spec_url)
    if row is None:
        raise NotFound("There is no such integration in this organisation.")
    await db.execute("SELECT pg_notify($1, '')", CHANNEL)
    return _job(row)


async def get_import(db: Queryable, scope: OrgScope, import_id: ImportId) -> ImportJob:
    row = await db.fetchrow(_SQL["get_import"], scope.org_id, import_id)
    if row is None:
        raise NotFound("There is no such import in this organisation.")
    return _job(row)


async def list_imports(
    db: Queryable, scope: OrgScope, integration_id: IntegrationId, limit: int = 20
) -> list[ImportJob]:
    """An integration's imports, newest first."""
    rows = await db.fetch(_SQL["list_imports"], scope.org_id, integration_id, limit)
    return [_job(row) for row in rows]


async def claim_import(db: Queryable, lease_s: float) -> ClaimedImport | None:
    """Take the oldest open import that nobody holds, of whatever organisation; None when there is none."""
    row = await db.fetchrow(_SQL["claim_import"], lease_s)
    if row is None:
        return None
    return ClaimedImport(
        id=row["id"],
        scope=OrgScope(org_id=row["org_id"]),
        integration_id=row["integration_id"],
        status=ImportStatus(row["status"]),
        attempt=row["attempts"],
        document=row["document"],
        spec_url=row["spec_url"],
    )


async def renew_import(db: Queryable, claim: ClaimedImport, lease_s: float) -> None:
    """Raises OwnershipLost where another worker took the import over, as do all writes below."""
    _held(await db.fetchval(_SQL["renew_import"], *_fence(claim), lease_s))


async def import_parsed(
    db: Queryable,
    claim: ClaimedImport,
    report: Sequence[OperationReport],
    notes: Sequence[str],
    *,
    total: int,
    done: int,
) -> None:
    """The tools are stored (same transaction): `total` of them, of which `done` have their embedding already."""
    _held(await db.fetchval(_SQL["import_parsed"], *_fence(claim), _rows(report), list(notes), total, done))


async def queue_embedding(
    db: Queryable,
    scope: OrgScope,
    import_id: ImportId,
    integration_id: IntegrationId,
    report: Sequence[OperationReport],
) -> None:
    """Have a worker embed tools that were stored without a document to import."""
    await db.execute(_SQL["insert_embedding"], scope.org_id, import_id, integration_id, _rows(report), len(report))
    await db.execute("SELECT pg_notify($1, '')", CHANNEL)


async def import_progress(db: Queryable, claim: ClaimedImport, embedded: int, lease_s: float) -> None:
    _held(await db.fetchval(_SQL["import_progress"], *_fence(claim), embedded, lease_s))


async def complete_import(db: Queryable, claim: ClaimedImport) -> None:
    _held(await db.fetchval(_SQL["finish_import"], *_fence(claim), ImportStatus.COMPLETED.value, None))


async def fail_import(db: Queryable, claim: ClaimedImport, error: str) -> None:
    """`error` says what to do next; it is shown to the person who imports."""
    _held(await db.fetchval(_SQL["finish_import"], *_fence(claim), ImportStatus.FAILED.value, error))


def _rows(report: Sequence[OperationReport]) -> list[JsonObject]:
    return [entry.model_dump(mode="json", by_alias=True) for entry in report]


def _fence(claim: ClaimedImport) -> tuple[object, object, int]:
    return claim.scope.org_id, claim.id, claim.attempt


def _held(returned: object) -> None:
    if returned is None:
        raise OwnershipLost("Another worker took this import over.")


def _job(row: asyncpg.Record) -> ImportJob:
    return ImportJob(
        id=row["id"],
        org_id=row["org_id"],
        integration_id=row["integration_id"],
        status=ImportStatus(row["status"]),
        total=row["total"],
        done=row["done"],
        report=tuple(OperationReport.model_validate(entry) for entry in row["report"]),
        notes=tuple(row["notes"]),
        error=row["error"],
        attempts=row["attempts"],
        created_at=row["created_at"],
        finished_at=row["finished_at"],
    )
