"""A task beside the supervisor: takes key rotations on, and carries deletions of organisations out. Plain."""

from __future__ import annotations

import asyncio

from actors.lasting import keep_going
from planvault.clock import TimeOrderedIds
from planvault.crypto.assembly import key_providers
from planvault.settings import Settings
from planvault.storage.files.folder import EventFolder
from planvault.storage.org_deletion import OrganizationPurge
from planvault.storage.pool import Role, open_pool
from planvault.storage.rotation_steps import RotationSteps

_POLL_S = 2.0
_PURGE_POLL_S = 60.0
_STATEMENT_S = 120.0  # a page of events, or the last rows of a large organisation


class KeyKeeper:
    """Every caretaker has one: rotations and deletions are claimed row by row, so several share the work."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def run(self) -> None:
        """Until cancelled, whatever fails: who supervises beside it must not stop for that."""
        await keep_going("keys", self._serve)

    async def _serve(self) -> None:
        url = self._settings.platform_url
        async with await open_pool(
            url, name="keys", maximum=3, command_timeout_s=_STATEMENT_S, role=Role.PLATFORM
        ) as pool:
            root = self._settings.events_folder
            folder = None if root is None else EventFolder(root)
            rotation = RotationSteps(pool, key_providers(self._settings), TimeOrderedIds(), folder=folder)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(keep_going("rotation", rotation.once, _POLL_S))
                tasks.create_task(keep_going("purge", OrganizationPurge(pool, folder).once, _PURGE_POLL_S))
