"""A task that learns from ended runs and votes, beside the imports of a catalog worker. Plain; knows nothing of Ray."""

from __future__ import annotations

import asyncio

import structlog

from planvault.clock import TimeOrderedIds
from planvault.crypto.assembly import key_providers
from planvault.errors import PlanVaultError
from planvault.ports import Embedder
from planvault.settings import Settings
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import Role, is_away, open_pool
from planvault.storage.session_store import SessionStore
from retrieval.scenarios.learner import ScenarioLearner

_log = structlog.get_logger(__name__)

_POLL_S = 2.0  # a lesson is for the next prompt, not for this one
_PAUSE_S = 5.0  # while the database or the embedder is away


class Learner:
    def __init__(self, settings: Settings, embedder: Embedder) -> None:
        self._settings = settings
        self._embedder = embedder

    async def run(self) -> None:
        """Until cancelled. Opens its own pools, and closes them."""
        while True:
            try:
                await self._serve()
            # The process must outlive a lost database and our own mistakes; what was not learned stays marked so.
            except Exception as fault:  # noqa: BLE001
                if is_away(fault) or (isinstance(fault, PlanVaultError) and fault.retryable):
                    _log.warning("learner.waits", cause=repr(fault))
                else:
                    _log.exception("learner.interrupted")
            await asyncio.sleep(_PAUSE_S)

    async def _serve(self) -> None:
        url, ids = self._settings.platform_url, TimeOrderedIds()
        # A cipher is looked up outside of transactions, but never waits for one.
        async with await open_pool(url, name="learner", maximum=2, role=Role.PLATFORM) as pool:
            keyring = PostgresKeyring(pool, key_providers(self._settings), ids)
            history = SessionStore(self._settings.events_folder).history(pool, keyring)
            learner = ScenarioLearner(pool, history, self._embedder, ids)
            while True:
                if not await learner.learn():
                    await asyncio.sleep(_POLL_S)
