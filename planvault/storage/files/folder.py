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

    def belongs_to(self, database: UUID) -> None:
        """Label a new folder; raises BringUpFailed where the label names another database, or a known one has none."""
        label = self.root / _LABEL
        if label.exists():
            held = json.loads(label.read_text(encoding="utf-8")).get("database")
            if held != str(database):
                raise BringUpFailed(
                    f"{self.root} holds the session events of another database ({held}). Set PLANVAULT_EVENTS_DIR to "
                    f"this database's folder, or DATABASE_URL to that folder's database."
                )
            return
        self._make(self.root)
        draft = label.with_suffix(".draft")
        with draft.open("w", encoding="utf-8") as file:
            file.write(json.dumps({"database": str(database)}) + "\n")
            file.flush()
            os.fsync(file.fileno())
        draft.rename(label)
        _sync_folder(self.root)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
