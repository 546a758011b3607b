"""How long selections take and how many there are in a second, with the embedding of the prompt and without it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TypeAlias

import numpy as np

from models.planning import Selection
from planvault.ports import Embedder, Span, Vector

Select: TypeAlias = Callable[[str], Awaitable[Selection]]
Key: TypeAlias = tuple[str, tuple[Span, ...]]


class RememberedPrompts:
    """Implements the Embedder port: keeps what it was asked for prompts, and can answer from that at no cost."""

    def __init__(self, inner: Embedder) -> None:
        self._inner = inner
        self._known: dict[Key, list[Vector]] = {}
        self.replaying = False

    @property
    def asked(self) -> list[Key]:
        return list(self._known)

    async def embed(self, texts: Sequence[str]) -> list[Vector]:
        if len(texts) != 1:
            return await self._inner.embed(texts)
        return await self.embed_prompt(texts[0], ())

    async def embed_prompt(self, text: str, spans: Sequence[Span]) -> list[Vector]:
        key = text, tuple(spans)
        found = self._known.get(key)
        if found is None or not self.replaying:
            found = self._known[key] = await self._inner.embed_prompt(text, spans)
        return found


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds."""

    p50: float
    p99: float


def spreads(selections: Sequence[Selection]) -> dict[str, Spread]:
    """By stage, over the selections that had it; `beside embedding` is the total without the embedding."""
    samples: dict[str, list[float]] = {}
    for selection in selections:
        timings = selection.timings_ms
        for stage, took in timings.items():
            samples.setdefault(stage, []).append(took)
        samples.setdefault("beside embedding", []).append(timings["total"] - timings.get("embed", 0.0))
    return {stage: spread(took) for stage, took in samples.items()}


def spread(milliseconds: Sequence[float]) -> Spread:
    p50, p99 = np.percentile(milliseconds, [50, 99])
    return Spread(round(float(p50), 2), round(float(p99), 2))


async def a_second(
    do: Callable[[str], Awaitable[object]], prompts: Iterable[str], *, at_once: int, seconds: float
) -> float:
    """How often `do` ends in a second with so many of it under way; prompts are taken in turn, again and again."""
    turn = cycle(prompts)
    done = 0
    until = time.perf_counter() + seconds

    async def one_after_the_other() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await do(next(turn))
            done += 1

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(one_after_the_other())
    return round(done / (time.perf_counter() - started), 1)
