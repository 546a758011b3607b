"""Organisations as whoever runs the installation sees them: that they are there, and nothing of what is in them."""

from __future__ import annotations

from datetime import datetime

from models.base import Frozen
from models.ids import OrgId


class OrganizationSummary(Frozen):
    id: OrgId
    name: str
    created_at: datetime
    owners: int  # members with the role OWNER; 0: whoever was invited has not accepted yet
    members: int
    projects: int
    keys_per_project: int  # how many scoped keys a project may have
    deleted_at: datetime | None
    purge_after: datetime | None  # until then it can be restored
