"""This platform as a contestant."""

from __future__ import annotations

from datetime import UTC, datetime
from statistics import quantiles

from benchmarks.runtime.client import Client
from benchmarks.runtime.contest import Lap

STEPS = 10


class Ours:
    """Each run is a prompt in a session; sessions run their prompts one after the other, all sessions at once.

    All that a run writes is inside: prompts one by one, selection and plan recorded, replies given.
    """

    def __init__(self, client: Client, shape: str, tool: str) -> None:
        self._client = client
        self._prompt = f"{shape} {tool} {STEPS}"

    async def lap(self, runs: int, each: int) -> Lap:
        scopes = await self._client.sessions(runs)
        started = datetime.now(UTC)
        await self._client.run_all(scopes, self._prompt, each)
        seconds = (await self._client.last_at(scopes, "done") - started).total_seconds()
        percentiles = quantiles(await self._client.gaps_ms(scopes), n=100)
        steps = runs * each * STEPS
        return Lap(steps, steps / seconds, percentiles[49], percentiles[98])
