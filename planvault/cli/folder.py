"""A folder of API descriptions: which files there are, and what is in them."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

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
    """JSON and YAML files at any depth, in order of their paths; hidden ones are passed over. Raises InvalidInput."""
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is no folder.")
    found = [
        SpecFile(relative.as_posix(), file, file.stat().st_size)
        for file in folder.rglob("*")
        for relative in (file.relative_to(folder),)
        if file.suffix.lower() in _SUFFIXES
        and file.is_file()
        and not any(part.startswith(".") for part in relative.parts)
    ]
    if not found:
        raise InvalidInput(f"{folder} holds no .json, .yaml or .yml files.")
    return sorted(found, key=lambda one: one.path)
