"""What the operators' routes need beside the API's own parts, and who may call them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from planvault.errors import NotAllowed
from planvault.settings import Settings
from planvault.storage.commands import Commands
from planvault.storage.org_deletion import OrganizationDeletions
from planvault.storage.organizations import Organizations
from planvault.storage.pool import Role, open_pool
from serve_apps.access.gate import admitted

_STATEMENT_S = 30.0


@dataclass(frozen=True, slots=True)
class Platform:
    organizations: Organizations
    deletions: OrganizationDeletions


@asynccontextmanager
async def open_platform(settings: Settings, commands: Commands) -> AsyncIterator[Platform]:
    """A small pool that sees all organisations; no route of tenants is given it."""
    pool = await open_pool(
        settings.platform_url, name="superadmin", maximum=2, command_timeout_s=_STATEMENT_S, role=Role.PLATFORM
    )
    async with pool:
        yield Platform(Organizations(pool), OrganizationDeletions(pool, commands))


def _platform(request: Request) -> Platform:
    found = request.app.state.platform
    assert isinstance(found, Platform)
    return found


PlatformDeps = Annotated[Platform, Depends(_platform)]


def only_operators(request: Request) -> None:
    """A dependency of every route here. Raises NotAllowed for whoever does not run the installation."""
    if not admitted(request).granted.principal.is_operator:
        raise NotAllowed("This is for those who run the installation (PLANVAULT_OIDC_OPERATOR_CLAIM)")
