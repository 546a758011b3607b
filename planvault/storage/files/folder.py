"""The folder of a file store: where a session's segments lie, and that it is the one this database belongs to."""

from __future__ import annotations

import json
import os
from pathlib import Path
from uuid import UUID

from models.ids import SessionId
from planvault.errors import BringUpFailed

_LABEL = "store.json"


class EventFolder:
    """`root` is readable by its owner alone. Blocking: call it in a thread."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def problem(self, database: UUID | None = None) -> str | None:
        """Why nobody should keep a record here, and what to do; None: it is sound. `database`: whose it has to be."""
        try:
            found = self.root.stat()
            held = self._labelled()
        except FileNotFoundError as missing:
            return f"{missing.filename} is not there: restore the folder from a backup, or set PLANVAULT_EVENTS_DIR."
        except (OSError, ValueError) as fault:
            return f"{self.root} cannot be read ({type(fault).__name__})."
        if found.st_uid != os.geteuid():
            return f"{self.root} belongs to user {found.st_uid}: run PlanVault as that user, or chown it."
        if found.st_mode & 0o077:
            return f"{self.root} is open to others (mode {found.st_mode & 0o777:04o}): chmod 0700."
        if database is not None and held != str(database):
            return _another(self.root, held)
        return None

    def _labelled(self) -> str:
        """The database's id. Raises FileNotFoundError, ValueError."""
        return str(json.loads((self.root / _LABEL).read_text(encoding="utf-8"))["database"])

    def session(self, shard: int, session_id: SessionId) -> Path:
        return self.root / f"{shard:04d}" / str(session_id)

    def segment(self, shard: int, session_id: SessionId, epoch: int, part: int, revision: int = 0) -> Path:
        """An owner's segment. A part ends where it is not known what was committed; the next one takes its place.

        `revision`: what pruning wrote in the place of this part, and of those before it that it took in.
        """
        name = f"{epoch:016d}-{part:04d}"
        return self.session(shard, session_id) / (f"{name}.{revision}.events" if revision else f"{name}.events")

    def next_part(self, shard: int, session_id: SessionId, epoch: int) -> int:
        """One behind every part that the epoch has files of. Pruning leaves the last one, so no name comes twice."""
        begin = f"{epoch:016d}-"
        folder = self.session(shard, session_id)
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        parts = [int(name.removeprefix(begin).split(".")[0]) for name in names if name.startswith(begin)]
        return max(parts, default=-1) + 1

    def create(self, path: Path) -> int:
        """A new, empty segment, its name durable; the open descriptor. Raises FileExistsError."""
        self._make(path.parent)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        _sync_folder(path.parent)
        return descriptor

    def write(self, path: Path, data: bytes) -> None:
        """A new file with all that it will ever hold, durable. Raises FileExistsError."""
        descriptor = self.create(path)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def _make(self, folder: Path) -> None:
        if folder.is_dir():
            return
        if folder != self.root:
            self._make(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(folder.parent)

    def belongs_to(self, database: UUID, *, has_events: bool = False) -> None:
        """Label a new folder. Raises BringUpFailed where it is not sound, is another database's, or has lost its label.

        `has_events`: a record is somewhere already, so that a folder without a label is not the one.
        """
        if not (self.root / _LABEL).exists() and not has_events:
            self._label(database)
        if (problem := self.problem(database)) is not None:
            raise BringUpFailed(problem)

    def _label(self, database: UUID) -> None:
        label = self.root / _LABEL
        self._make(self.root)
        draft = label.with_suffix(".draft")
        with draft.open("w", encoding="utf-8") as file:
            file.write(json.dumps({"database": str(database)}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.rename(label)
        _sync_folder(self.root)


def _another(root: Path, held: str) -> str:
    return (
        f"{root} holds the session events of another database ({held}). Set PLANVAULT_EVENTS_DIR to this database's "
        "folder, or DATABASE_URL to that folder's database."
    )


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
