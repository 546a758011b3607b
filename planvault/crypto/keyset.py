"""The local keyset file: JSON, mode 0600, made once and atomically.

{"format": "planvault-keyset/1", "primary": ID, "keys": [{"id": ID, "algorithm": "AES-256-GCM", "key": BASE64}]}
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from planvault.crypto.committing import KEY_BYTES
from planvault.errors import BringUpFailed

_FORMAT = "planvault-keyset/1"
_ALGORITHM = "AES-256-GCM"


@dataclass(frozen=True, slots=True, repr=False)
class Keyset:
    primary: str
    keys: Mapping[str, bytes]  # id → 32 bytes


class _KeyEntry(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    id: str
    algorithm: str
    key: str


class _KeysetFile(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    format: str
    primary: str
    keys: list[_KeyEntry]


def load_or_create(path: Path) -> Keyset:
    """The keyset at `path`; a new one with one key where there is none.

    Of several processes that start at once, one writes and all read the same file. Raises BringUpFailed for a file
    that others may read, that is not a keyset, or that cannot be written.
    """
    try:
        return load(path)
    except FileNotFoundError:
        _create(path)
        return load(path)


def load(path: Path) -> Keyset:
    """Raises FileNotFoundError, and BringUpFailed for a file that others may read or that is not a keyset."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe must not hold us up
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BringUpFailed(f"The keyset {path} cannot be read: {error.strerror}.") from error
    try:
        _refuse_if_exposed(path, os.fstat(descriptor))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return _parse(path, file.read())
    finally:
        os.close(descriptor)


def _refuse_if_exposed(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise BringUpFailed(f"The keyset {path} is not a regular file.")
    if status.st_mode & 0o077:
        raise BringUpFailed(
            f"The keyset {path} has mode {stat.S_IMODE(status.st_mode):04o}: others may read the keys that protect "
            f"every tenant. Run: chmod 600 {path}"
        )
    if status.st_uid not in (0, os.geteuid()):
        raise BringUpFailed(f"The keyset {path} belongs to another user. Run: chown {os.geteuid()} {path}")


def _parse(path: Path, text: bytes) -> Keyset:
    try:
        file = _KeysetFile.model_validate_json(text)
        keys = {entry.id: base64.b64decode(entry.key, validate=True) for entry in file.keys}
    except (ValidationError, ValueError) as error:
        # `from None`: the parser's error could carry key material.
        raise BringUpFailed(
            f"{path} is not a keyset file ({type(error).__name__}). Restore it from a backup."
        ) from None
    if file.format != _FORMAT or any(entry.algorithm != _ALGORITHM for entry in file.keys):
        raise BringUpFailed(f"{path} has a format or algorithm that this build does not know.")
    if len(keys) != len(file.keys) or file.primary not in keys or any(len(key) != KEY_BYTES for key in keys.values()):
        raise BringUpFailed(f"{path} is damaged: a key is missing, doubled or of the wrong size. Restore a backup.")
    return Keyset(file.primary, keys)


def _create(path: Path) -> None:
    """Write beside, then link: the name appears with its whole content, and a name that exists wins."""
    kek_id = f"local-{secrets.token_hex(8)}"
    key = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    content = {
        "format": _FORMAT,
        "primary": kek_id,
        "keys": [{"id": kek_id, "algorithm": _ALGORITHM, "key": key}],
    }
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(content, file, indent=2)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            _link_unless_there(draft, path)
        finally:
            draft.unlink()
    except OSError as error:
        raise BringUpFailed(f"The keyset {path} cannot be written: {error.strerror}.") from error


def _link_unless_there(draft: Path, path: Path) -> None:
    try:
        os.link(draft, path)
    except FileExistsError:
        return  # another process was first; its keyset is the one to use
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)  # a keyset that a power cut takes away takes every tenant's data with it
    finally:
        os.close(folder)
