"""A task that works exports and erasures off, and asks for those of deleted projects. Plain; knows nothing of Ray."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial

from actors.lasting import keep_going
from models.privacy import RequestKind
from planvault.clock import SystemClock, TimeOrderedIds
from planvault.crypto.assembly import key_providers
from planvault.settings import Settings
from planvault.storage.answer_cache import RedisAnswers
from planvault.storage.audit import AuditErasure, AuditLog
from planvault.storage.blobs import Blobs
from planvault.storage.commands import Commands
from planvault.storage.files.folder import EventFolder
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import Pool, Role, open_pool
from planvault.storage.privacy import PrivacyRequests
from planvault.storage.privacy_answers import AnswerErasure
from planvault.storage.privacy_erasure import Erasure, Patience
from planvault.storage.privacy_export import Exporter
from planvault.storage.privacy_work import PrivacyWork
from planvault.storage.project_ends import ProjectEnds
from planvault.storage.redis_link import RedisLink, open_link

_POLL_S = 2.0
_ENDS_POLL_S = 60.0
_STATEMENT_S = 60.0


class PrivacyWorker:
    """Several may run at once: a request is in one's hands at a time."""

    def __init__(self, settings: Settings, patience: Patience | None = None) -> None:
        self._settings = settings
        self._patience = patience or Patience()

    async def run(self) -> None:
        """Until cancelled. Opens its own pools, and closes them."""
        await keep_going("privacy", self._serve)

    async def _serve(self) -> None:
        async with AsyncExitStack() as stack:
            pool = await stack.enter_async_context(await self._pool("privacy", 4))
            # Apart from the other: a cipher may be needed inside a transaction that holds the last connection.
            keys = await stack.enter_async_context(await self._pool("privacy-keys", 1))
            link = await stack.enter_async_context(open_link(self._settings.redis_url))
            work = privacy_work(self._settings, pool, keys, link, self._patience)
            async with asyncio.TaskGroup() as tasks:  # no erasure waits for a large export to be written
                for kind in RequestKind:
                    tasks.create_task(keep_going(kind.value, partial(work.once, kind), _POLL_S))
                ends = project_ends(self._settings, pool, keys)
                tasks.create_task(keep_going("deleted projects", ends.once, _ENDS_POLL_S))

    async def _pool(self, name: str, maximum: int) -> Pool:
        url = self._settings.platform_url
        return await open_pool(url, name=name, maximum=maximum, command_timeout_s=_STATEMENT_S, role=Role.PLATFORM)


def project_ends(settings: Settings, pool: Pool, keys: Pool) -> ProjectEnds:
    """Over open pools, as `privacy_work`."""
    ids = TimeOrderedIds()
    keyring = PostgresKeyring(keys, key_providers(settings), ids)
    return ProjectEnds(pool, PrivacyRequests(pool, keyring, keyring, ids), AuditLog(pool, keyring), SystemClock(), ids)


def privacy_work(settings: Settings, pool: Pool, keys: Pool, link: RedisLink | None, patience: Patience) -> PrivacyWork:
    """The worker's parts over open pools."""
    ids, clock = TimeOrderedIds(), SystemClock()
    keyring = PostgresKeyring(keys, key_providers(settings), ids)
    folder = None if settings.events_folder is None else EventFolder(settings.events_folder)
    erasure = Erasure(
        pool,
        keyring,
        Commands(pool, keyring, ids),
        AuditErasure(keyring, ids, clock),
        AnswerErasure(pool, keyring, None if link is None else RedisAnswers(link, keyring)),
        folder,
        patience,
    )
    exporter = Exporter(pool, keyring, Blobs(pool, keyring, ids), folder, clock)
    return PrivacyWork(pool, keyring, erasure, exporter, clock, ids)
