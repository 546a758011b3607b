"""Imports: one document becoming one integration's tools."""

from datetime import datetime

from models.base import Frozen
from models.ids import ImportId, IntegrationId, OrgId
from models.tools import ImportStatus, OperationReport


class ImportJob(Frozen):
    """How far an import is. `total` counts the integration's tools, known after parsing; `done` are embedded."""

    id: ImportId
    org_id: OrgId
    integration_id: IntegrationId
    status: ImportStatus
    total: int = 0
    done: int = 0
    report: tuple[OperationReport, ...] = ()
    notes: tuple[str, ...] = ()  # findings about the whole document: credentials it asks for, servers it names
    error: str | None = None
    attempts: int = 0
    created_at: datetime
    finished_at: datetime | None = None
