"""`planvault keys rewrap`: data keys under another key-encryption key, while the platform works or without it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import nullcontext

from cluster import database, postgres
from cluster.data_dir import locked, prepare
from cluster.server_user import server_user
from planvault.crypto.assembly import key_providers
from planvault.settings import Settings
from planvault.storage.pool import Role, open_pool
from planvault.storage.rewrap import Rewrap, Rewrapped, Wrapped


def rewrap(settings: Settings, provider: str | None, seen: Callable[[], None]) -> Rewrapped | tuple[Wrapped, ...]:
    """Wrap everything by this provider's current key; None: only say what is wrapped by which.

    The embedded server is started for it where it does not run, and stopped again.
    """
    if settings.database_url:
        return asyncio.run(_rewrap(settings, settings.database_url, provider, seen))
    user = server_user()
    data = prepare(settings.data_dir, user)
    server = postgres.embedded(data, user)
    runs = server.pid() is not None
    with nullcontext() if runs else locked(data):
        if not runs:
            server.start()
        try:
            return asyncio.run(_rewrap(settings, server.url(), provider, seen))
        finally:
            if not runs:
                server.stop()


async def _rewrap(
    settings: Settings, url: str, provider: str | None, seen: Callable[[], None]
) -> Rewrapped | tuple[Wrapped, ...]:
    await database.check(url)
    async with await open_pool(url, name="rewrap", maximum=2, role=Role.PLATFORM) as pool:
        work = Rewrap(pool, key_providers(settings))
        return await work.wrapped() if provider is None else await work.to(provider, lambda _: seen())
