"""A task that learns from ended runs and votes, beside the imports of a catalog worker. Plain; knows nothing of Ray."""

from __future__ import annotations

from actors.lasting import keep_going
from planvault.clock import TimeOrderedIds
from planvault.crypto.assembly import key_providers
from planvault.ports import Embedder
from planvault.settings import Settings
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import Role, open_pool
from planvault.storage.session_store import SessionStore
from retrieval.scenarios.learner import ScenarioLearner

_POLL_S = 2.0  # a lesson is for the next prompt, not for this one


class Learner:
    def __init__(self, settings: Settings, embedder: Embedder) -> None:
        self._settings = settings
        self._embedder = embedder

    async def run(self) -> None:
        """Until cancelled. Opens its own pools, and closes them."""
        await keep_going("learner", self._serve)

    async def _serve(self) -> None:
        url, ids = self._settings.platform_url, TimeOrderedIds()
        # A cipher is looked up outside of transactions, but never waits for one.
        async with await open_pool(url, name="learner", maximum=2, role=Role.PLATFORM) as pool:
            keyring = PostgresKeyring(pool, key_providers(self._settings), ids)
            history = SessionStore(self._settings.events_folder).history(pool, keyring)
            learner = ScenarioLearner(pool, history, self._embedder, ids)
            await keep_going("learning", learner.learn, _POLL_S)
