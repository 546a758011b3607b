"""A task beside the supervisor: takes key rotations on, and carries deletions of organisations out. Plain."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from planvault.clock import TimeOrderedIds
from planvault.crypto.assembly import key_providers
from planvault.errors import PlanVaultError
from planvault.settings import Settings
from planvault.storage.files.folder import EventFolder
from planvault.storage.org_deletion import OrganizationPurge
from planvault.storage.pool import Role, is_away, open_pool
from planvault.storage.rotation_steps import RotationSteps

_log = structlog.get_logger(__name__)

_POLL_S = 2.0
_PURGE_POLL_S = 60.0
_PAUSE_S = 5.0  # while the database or a key provider is away
_STATEMENT_S = 120.0  # a page of events, or the last rows of a large organisation


class KeyKeeper:
    """Every caretaker has one: rotations and deletions are claimed row by row, so several share the work."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def run(self) -> None:
        """Until cancelled, whatever fails: who supervises beside it must not stop for that."""
        while True:
            try:
                await self._serve()
            # The cause is in the log; what was not done is still in the rows.
            except Exception:  # noqa: BLE001
                _log.exception("key_keeper.interrupted")
            await asyncio.sleep(_PAUSE_S)

    async def _serve(self) -> None:
        url = self._settings.platform_url
        async with await open_pool(
            url, name="keys", maximum=3, command_timeout_s=_STATEMENT_S, role=Role.PLATFORM
        ) as pool:
            root = self._settings.events_folder
            folder = None if root is None else EventFolder(root)
            rotation = RotationSteps(pool, key_providers(self._settings), TimeOrderedIds(), folder=folder)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_for_ever("rotation", rotation.once, _POLL_S))
                tasks.create_task(_for_ever("purge", OrganizationPurge(pool, folder).once, _PURGE_POLL_S))


async def _for_ever(name: str, once: Callable[[], Awaitable[bool]], poll_s: float) -> None:
    while True:
        try:
            found = await once()
        # The process must outlive a lost database and our own mistakes; what was not done is still in the rows.
        except Exception as fault:  # noqa: BLE001
            if is_away(fault) or (isinstance(fault, PlanVaultError) and fault.retryable):
                _log.warning("key_keeper.waits", work=name, cause=repr(fault))
            else:
                _log.exception("key_keeper.interrupted", work=name)
            await asyncio.sleep(_PAUSE_S)
            continue
        if not found:
            await asyncio.sleep(poll_s)
