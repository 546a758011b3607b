"""The embedder application: one small replica that turns texts into vectors for every process of the platform.

Serve gathers the texts of concurrent callers into one forward pass. A caller with many texts (an import) hands them in
a slice at a time, so that a prompt's single text waits for one pass, never for the whole import.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from ray import serve
from ray.serve import Application

from planvault.settings import Settings
from planvault.telemetry import start_logging
from retrieval.embedding import MiniLm

# Texts in one forward pass, and of one caller at a time: half a pass, so that the other half stays open to others.
PASS_TEXTS = 32
SLICE_TEXTS = PASS_TEXTS // 2
# How long a lone text waits for company; a forward pass over one takes about 7 ms.
GATHER_S = 0.003


class EmbedderArgs(BaseModel):
    """Arguments of the application in cluster/serve.yaml."""

    threads: int = Field(default=1, ge=1, description="Torch threads of one replica; its num_cpus should match")


class TextModel(Protocol):
    """What the deployment needs of a model; retrieval.embedding.MiniLm in production."""

    def embed(self, texts: list[str]) -> NDArray[np.float32]: ...


class EmbedderReplica:
    """The deployment's class, without Serve's wrapping. Loads the model once, when the replica starts."""

    def __init__(self, args: EmbedderArgs, model: TextModel | None = None) -> None:
        self._model: TextModel = model or _model(args)
        # Called with one text, runs with many: Serve's dynamic batching. Wrapped here and not on the class, because
        # the queue belongs to the wrapped function and would outlive its instance and event loop.
        gathered = serve.batch(max_batch_size=PASS_TEXTS, batch_wait_timeout_s=GATHER_S, max_concurrent_batches=1)
        self._vector: Callable[[str], Awaitable[list[float]]] = gathered(self._one_pass)

    async def embed(self, texts: list[str]) -> list[list[float]]:
        """L2-normalised 384-d vectors, one per text, in order."""
        vectors: list[list[float]] = []
        for start in range(0, len(texts), SLICE_TEXTS):
            vectors += await asyncio.gather(*map(self._vector, texts[start : start + SLICE_TEXTS]))
        return vectors

    async def _one_pass(self, texts: list[str]) -> list[list[float]]:
        """One forward pass, off the event loop; Serve runs one at a time."""
        matrix = await asyncio.to_thread(self._model.embed, texts)
        rows: list[list[float]] = matrix.tolist()
        return rows

    async def check_health(self) -> None:
        """Serve restarts the replica when this raises or hangs: a real pass through the queue proves that it works."""
        await self._vector("alive")


def _model(args: EmbedderArgs) -> TextModel:
    start_logging(Settings(), os.environ)
    return MiniLm.load(threads=args.threads, batch_size=PASS_TEXTS)


Embedder = serve.deployment(
    name="Embedder",
    num_replicas=1,
    max_ongoing_requests=256,
    ray_actor_options={"num_cpus": 0.25},
    health_check_period_s=10,
    health_check_timeout_s=30,
)(EmbedderReplica)


def build(args: EmbedderArgs) -> Application:
    """The Serve application of this module, for cluster/serve.yaml."""
    return Embedder.bind(args)
