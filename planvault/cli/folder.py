"""A folder of API descriptions: which files there are, and what is in them."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from planvault.errors import InvalidInput

_SUFFIXES = frozenset({".json", ".yaml", ".yml"})
_CHUNK = 256 * 1024


@dataclass(frozen=True, slots=True)
class FolderImport:
    """What was asked for. `resume`: go on with the folder's last import, if it has not ended."""

    folder: Path
    prefix: str = ""
    prune: bool = False
    resume: bool = False


@dataclass(frozen=True, slots=True)
class SpecFile:
    """`path`: with `/`, below the folder; it names the document over imports."""

    path: str
    file: Path
    size: int

    def chunks(self) -> Iterator[bytes]:
        """The file's bytes; memory holds one piece of it at a time."""
        with self.file.open("rb") as opened:
            while chunk := opened.read(_CHUNK):
                yield chunk

    def sha256(self) -> str:
        digest = hashlib.sha256()
        for chunk in self.chunks():
            digest.update(chunk)
        return digest.hexdigest()


def spec_files(folder: Path) -> list[SpecFile]:
    """JSON and YAML files at any depth, in order of their paths; hidden ones are passed over. Links to folders are not
    followed. Raises InvalidInput, also where a folder cannot be listed: its documents must not pass for deleted."""
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is no folder.")
    found: list[SpecFile] = []
    for place, folders, names in os.walk(folder, onerror=_not_listed):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for file in (Path(place, name) for name in names):
            if file.suffix.lower() in _SUFFIXES and not file.name.startswith(".") and file.is_file():
                found.append(SpecFile(file.relative_to(folder).as_posix(), file, file.stat().st_size))
    if not found:
        raise InvalidInput(f"{folder} holds no .json, .yaml or .yml files.")
    return sorted(found, key=lambda one: one.path)


def _not_listed(fault: OSError) -> NoReturn:
    raise InvalidInput(f"{fault.filename} cannot be listed: {fault.strerror}.") from fault
