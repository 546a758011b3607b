"""What the organisation has decided about learning, as it stands for a project that decides nothing itself."""

from __future__ import annotations

from models.retrieval import RetrievalOverrides, RetrievalSettings, effective_retrieval
from models.tenants import OrgScope
from planvault.storage.pool import Queryable
from serve_apps.dependencies import ApiDeps


async def cache_settings(deps: ApiDeps, scope: OrgScope, db: Queryable | None = None) -> RetrievalSettings:
    organization = await deps.tenants.organization(scope, db)
    return effective_retrieval(organization.settings.retrieval, RetrievalOverrides())
