"""Vectors that were computed before come from the folder, and only those."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.retrieval.vectors import CachedEmbedder, Vectors
from planvault.ports import Span, Vector


class Counting:
    """Implements the Embedder port."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        self.seen += texts
        return [[float(len(text))] * 384 for text in texts]

    async def embed_prompt(self, text: str, spans: Sequence[Span]) -> list[Vector]:
        self.seen.append(text)
        return [[0.5] * 384]


async def test_a_text_is_embedded_once_over_several_runs(tmp_path: Path) -> None:
    inner = Counting()
    first = await CachedEmbedder(inner, Vectors(tmp_path, "m")).embed(["a", "bb", "a"])
    second = await CachedEmbedder(inner, Vectors(tmp_path, "m")).embed(["bb", "ccc", "a"])

    assert [row[0] for row in (*first, *second)] == [1.0, 2.0, 1.0, 2.0, 3.0, 1.0]
    assert inner.seen == ["a", "bb", "a", "ccc"]
    assert len(Vectors(tmp_path, "m")) == 3
    assert len(Vectors(tmp_path, "another model")) == 0


async def test_prompts_are_always_embedded(tmp_path: Path) -> None:
    inner = Counting()
    embedder = CachedEmbedder(inner, Vectors(tmp_path, "m"))

    await embedder.embed(["find"])
    await embedder.embed_prompt("find", [])

    assert inner.seen == ["find", "find"]


def test_half_a_row_of_a_killed_run_is_written_over(tmp_path: Path) -> None:
    vectors = Vectors(tmp_path, "m")
    vectors.add(["a"], np.full((1, 384), 1, dtype=np.float32))
    with (tmp_path / "m.f32").open("ab") as file:
        file.write(b"torn")

    again = Vectors(tmp_path, "m")
    again.add(["b"], np.full((1, 384), 2, dtype=np.float32))

    rows = Vectors(tmp_path, "m").get(["a", "b", "c"])
    assert [None if row is None else row.tolist()[0] for row in rows] == [1.0, 2.0, None]
