"""What each task of a pipeline starts with: the process's settings, and a short-lived connection to the database."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from functools import cache
from typing import TypeVar

from planvault.settings import Settings
from planvault.storage.pool import Pool, Role, open_pool
from planvault.telemetry import start_logging

_T = TypeVar("_T")


@cache
def settings() -> Settings:
    """Of this process, which logs as every process of the platform does from now on."""
    read = Settings()
    start_logging(read, os.environ)
    return read


def with_database(work: Callable[[Pool], Awaitable[_T]]) -> _T:
    """Run `work` to its end in an event loop of its own. Ray Data calls its stages from plain threads."""

    async def session() -> _T:
        pool = await open_pool(settings().platform_url, name="bulk-import", maximum=1, role=Role.PLATFORM)
        try:
            return await work(pool)
        finally:
            await pool.close()

    return asyncio.run(session())
