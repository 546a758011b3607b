"""Files that are their owner's alone."""

import os
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Replace a file's content in one step, readable by its owner only."""
    draft = path.with_name(path.name + ".partial")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
