"""The embedder application: one small replica that turns texts into vectors for every process of the platform.

Serve gathers what concurrent callers ask into one forward pass: prompts with prompts, documents with documents. The
model does one pass at a time, and takes from the two in turn: a prompt waits for one pass of an import at most.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from ray import serve
from ray.serve import Application

from planvault.ports import Span
from planvault.settings import Settings
from planvault.telemetry import start_logging
from retrieval.embedding import MiniLm, Prompt

# Texts and characters in one forward pass: larger ones are no faster a text, and a prompt would wait longer for them.
PASS_TEXTS = 16
PASS_CHARACTERS = 8_000


class EmbedderArgs(BaseModel):
    """Arguments of the application in cluster/serve.yaml."""

    threads: int = Field(default=1, ge=1, description="Torch threads of one replica; its num_cpus should match")
    bfloat16: bool | None = Field(
        default=None, description="Compute in bfloat16, twice as fast; unset: where the CPU has instructions for it"
    )


class TextModel(Protocol):
    """What the deployment needs of a model; retrieval.embedding.MiniLm in production."""

    def embed_prompts(self, prompts: Sequence[Prompt]) -> list[NDArray[np.float32]]: ...


class EmbedderReplica:
    """The deployment's class, without Serve's wrapping. Loads the model once, when the replica starts."""

    def __init__(self, args: EmbedderArgs, model: TextModel | None = None) -> None:
        self._model: TextModel = model or _model(args)
        # One thread for all passes: in others' turns each would warm up memory of its own.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._turn = asyncio.Lock()  # first come, first served: neither queue can starve the other
        # Called with one text, runs with many: Serve's dynamic batching. Wrapped here and not on the class, because
        # the queue belongs to the wrapped function and would outlive its instance and event loop. Nothing waits for
        # company: what comes during a pass is the next one.
        gathered = serve.batch(max_batch_size=PASS_TEXTS, batch_wait_timeout_s=0.0, max_concurrent_batches=1)
        self._prompt: Callable[[Prompt], Awaitable[list[list[float]]]] = gathered(self._pass_of_prompts)
        self._document: Callable[[Prompt], Awaitable[list[list[float]]]] = gathered(self._pass_of_documents)

    async def embed(self, texts: list[str]) -> list[list[float]]:
        """L2-normalised 384-d vectors, one per text, in order."""
        if len(texts) == 1:
            return await self._prompt((texts[0], ()))
        vectors: list[list[float]] = [[]] * len(texts)
        for part in _slices(texts):
            answers = await asyncio.gather(*(self._document((texts[position], ())) for position in part))
            for position, answer in zip(part, answers, strict=True):
                vectors[position] = answer[0]
        return vectors

    async def embed_prompt(self, text: str, spans: list[Span]) -> list[list[float]]:
        """The whole text's vector, then one a span; retrieval.embedding.MiniLm says how."""
        return await self._prompt((text, spans))

    async def _pass_of_prompts(self, prompts: list[Prompt]) -> list[list[list[float]]]:
        return await self._pass(prompts)

    async def _pass_of_documents(self, documents: list[Prompt]) -> list[list[list[float]]]:
        return await self._pass(documents)

    async def _pass(self, prompts: list[Prompt]) -> list[list[list[float]]]:
        """One forward pass, off the event loop."""
        async with self._turn:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._embedded, prompts)

    def _embedded(self, prompts: list[Prompt]) -> list[list[list[float]]]:
        return [matrix.tolist() for matrix in self._model.embed_prompts(prompts)]

    async def check_health(self) -> None:
        """Serve restarts the replica when this raises or hangs: a real pass through the queue proves that it works."""
        await self._prompt(("alive", ()))


def _slices(texts: Sequence[str]) -> Iterator[list[int]]:
    """Positions by growing length, in passes within both bounds: neighbours in length pad each other least."""
    part: list[int] = []
    for position in sorted(range(len(texts)), key=lambda position: len(texts[position])):
        if part and (len(part) == PASS_TEXTS or (len(part) + 1) * len(texts[position]) > PASS_CHARACTERS):
            yield part
            part = []
        part.append(position)
    if part:
        yield part


def _model(args: EmbedderArgs) -> TextModel:
    start_logging(Settings(), os.environ)
    return MiniLm.load(threads=args.threads, batch_size=PASS_TEXTS, bfloat16=args.bfloat16)


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
