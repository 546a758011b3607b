"""Which of its two places the sessions' events have: the `events` table, or files (`PLANVAULT_SESSION_STORE`)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from planvault.errors import BringUpFailed
from planvault.ports import Ids, Keyring
from planvault.storage.events import PostgresEventStore
from planvault.storage.files.event_store import FileEventStore
from planvault.storage.files.folder import EventFolder
from planvault.storage.files.history import FileHistory
from planvault.storage.files.pruning import LEFTOVERS_FOR, JournalFiles, LeftoverFiles
from planvault.storage.history import History, HistoryReader
from planvault.storage.pool import Pool
from planvault.storage.queries import load
from planvault.storage.retention import FILES_A_BATCH, RUNS_A_BATCH, Pruning

_SQL = load("planvault.storage", "sql/event_files.sql")


class SessionStore:
    """`folder` None: events are rows of the database."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = None if folder is None else EventFolder(folder)

    @property
    def mode(self) -> str:
        return "postgres" if self._folder is None else "file"

    async def claim(self, pool: Pool, ids: Ids) -> None:
        """Fix the mode of a new database, and label its folder. Raises BringUpFailed where they were made otherwise.

        A record is not moved between stores: under the other one every session would look empty.
        """
        row = await pool.fetchrow(_SQL["choose"], ids.new(), self.mode)
        if row is None or row["mode"] != self.mode:
            made = "postgres" if row is None else row["mode"]
            raise BringUpFailed(
                f"This database keeps its session events in {made} mode, PLANVAULT_SESSION_STORE says {self.mode}. "
                f"The mode is fixed for the life of a database: set PLANVAULT_SESSION_STORE={made}."
            )
        if self._folder is not None:
            await asyncio.to_thread(self._folder.belongs_to, row["id"], has_events=row["has_events"])

    async def problem(self, pool: Pool) -> str | None:
        """What is wrong with the folder now, and what to do; None: nothing."""
        if self._folder is None:
            return None
        database = await pool.fetchval(_SQL["identity"])
        return await asyncio.to_thread(self._folder.problem, database)

    @property
    def place(self) -> str:
        """Where events are, for people."""
        return "rows of the database" if self._folder is None else f"files in {self._folder.root}"

    @contextmanager
    def events(self, pool: Pool, keyring: Keyring, owner: str) -> Iterator[PostgresEventStore | FileEventStore]:
        if self._folder is None:
            yield PostgresEventStore(pool, keyring, owner)
            return
        store = FileEventStore(pool, keyring, owner, self._folder)
        try:
            yield store
        finally:
            store.close()

    def history(self, pool: Pool, keyring: Keyring) -> HistoryReader:
        return History(pool, keyring) if self._folder is None else FileHistory(pool, keyring, self._folder)

    def prunings(self, recording: timedelta) -> tuple[Pruning, ...]:
        """What takes journals out of files; none where they are rows, which retention knows by itself."""
        if self._folder is None:
            return ()
        return (
            JournalFiles(self._folder, recording, RUNS_A_BATCH),
            LeftoverFiles(self._folder, LEFTOVERS_FOR, FILES_A_BATCH),
        )
