"""Vectors that were computed before, by model and text, in a folder: a repeated run embeds 100,000 texts once.

Two files a model, `MODEL.keys` (the SHA-256 of each text, 32 bytes) and `MODEL.f32` (384 little-endian float32 in the
same order), both only ever appended to; what a killed run has written of one row is overwritten by the next.
"""

import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from planvault.ports import Embedder, Span, Vector

_KEY = 32
_DIMENSIONS = 384
_ROW = 4 * _DIMENSIONS


class Vectors:
    """Not for several writers at once."""

    def __init__(self, folder: Path, model: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._keys = folder / f"{model}.keys"
        self._rows = folder / f"{model}.f32"
        self._keys.touch()
        self._rows.touch()
        keys = self._keys.read_bytes()
        count = min(len(keys) // _KEY, self._rows.stat().st_size // _ROW)
        self._at = {keys[_KEY * at : _KEY * (at + 1)]: at for at in range(count)}
        self._count = count

    def __len__(self) -> int:
        return len(self._at)

    def get(self, texts: Sequence[str]) -> list[NDArray[np.float32] | None]:
        """None for a text that was never embedded."""
        if not self._at:
            return [None] * len(texts)
        table = np.memmap(self._rows, dtype="<f4", mode="r", shape=(self._count, _DIMENSIONS))
        found = [self._at.get(_key(text)) for text in texts]
        return [None if at is None else np.array(table[at]) for at in found]

    def add(self, texts: Sequence[str], vectors: NDArray[np.float32]) -> None:
        fresh = {key: row for key, row in zip(map(_key, texts), vectors, strict=True) if key not in self._at}
        if not fresh:
            return
        rows = np.stack(list(fresh.values())).astype("<f4")
        _write(self._rows, self._count * _ROW, rows.tobytes())
        _write(self._keys, self._count * _KEY, b"".join(fresh))
        self._at |= {key: self._count + number for number, key in enumerate(fresh)}
        self._count += len(fresh)


class CachedEmbedder:
    """Implements the Embedder port: texts from the folder where they are known, else from `inner`, and kept.

    Prompts are never taken from it.
    """

    def __init__(self, inner: Embedder, vectors: Vectors) -> None:
        self._inner = inner
        self._vectors = vectors

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        known = self._vectors.get(texts)
        missing = [text for text, row in zip(texts, known, strict=True) if row is None]
        if missing:
            made = await self._inner.embed(missing)
            self._vectors.add(missing, np.asarray(made, dtype=np.float32))
        fresh = iter(made if missing else [])
        return [next(fresh) if row is None else row.tolist() for row in known]

    async def embed_prompt(self, text: str, spans: Sequence[Span]) -> list[Vector]:
        return await self._inner.embed_prompt(text, spans)


def _key(text: str) -> bytes:
    return sha256(text.encode()).digest()


def _write(file: Path, at: int, content: bytes) -> None:
    stream: BinaryIO
    with file.open("r+b") as stream:
        stream.seek(at)
        stream.write(content)
        stream.truncate()
        stream.flush()
        os.fsync(stream.fileno())
