"""Work that goes on whatever becomes of one piece of it."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from actors.lasting import keep_going
from planvault.errors import Unavailable


async def _until_third(first: Callable[[], Awaitable[bool]]) -> tuple[int, list[str]]:
    """How often the work was done, and what the log says of its first time."""
    done = asyncio.Event()
    times = 0

    async def once() -> bool:
        nonlocal times
        times += 1
        if times == 1:
            return await first()
        done.set()
        return False

    with capture_logs() as said:
        task = asyncio.create_task(keep_going("w", once, 0.001, pause_s=0.001))
        async with asyncio.timeout(5):
            await done.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    return times, [f"{line['log_level']} {line['event']}" for line in said]


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        (ConnectionError("gone"), "warning work.waits"),
        (Unavailable("a key service"), "warning work.waits"),
        (KeyError("ours"), "error work.interrupted"),
    ],
)
async def test_it_goes_on_after_a_fault_and_says_which_kind_it_was(fault: Exception, line: str) -> None:
    async def fails() -> bool:
        raise fault

    times, said = await _until_third(fails)
    assert times >= 2
    assert said == [line]


async def test_what_was_found_is_followed_by_the_next_at_once() -> None:
    left = iter([True, True, False])
    turns: list[bool] = []

    async def once() -> bool:
        turns.append(next(left))
        return turns[-1]

    task = asyncio.create_task(keep_going("w", once, 3_600))
    async with asyncio.timeout(5):
        while len(turns) < 3:
            await asyncio.sleep(0)
    task.cancel()
    assert turns == [True, True, False]
