"""Who waits for an issuer's keys, with a source and a clock that the test moves."""

import asyncio
from collections.abc import Callable

from planvault.auth.issuer_keys import IssuerKeys, Pace
from planvault.auth.jwks import KeySet


class Source:
    """Answers when it is told to; every answer holds no key."""

    def __init__(self) -> None:
        self.fetches = 0
        self.before_it_answers: Callable[[], None] = lambda: None

    async def fetch(self) -> KeySet:
        self.fetches += 1
        self.before_it_answers()
        return KeySet()


async def test_who_asks_in_the_very_turn_in_which_a_fetch_ends_gets_another_and_stops_nobody() -> None:
    """It runs after the end of the fetch and before any callback of it: waiting for that again gives nobody a turn."""
    source, moments = Source(), iter(range(100))
    keys = IssuerKeys(source, pace=Pace(interval_s=0.0), elapsed=lambda: float(next(moments)))
    asked: list[asyncio.Task[tuple[object, ...]]] = []

    def ask() -> None:
        if not asked:
            asked.append(asyncio.create_task(keys.newer_candidates("nobody", "RS256", keys.now())))

    source.before_it_answers = ask
    async with keys.running():
        while not asked:
            await asyncio.sleep(0)
        assert await asyncio.wait_for(asked[0], 5) == ()
    assert source.fetches == 2
