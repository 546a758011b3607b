"""`python -m tests.integration.scheduling.dying_scheduler POINT`: the production composition, killed with -9 at POINT.

Settings come from the environment. POINT: `before_commit`, `after_commit` (and before the wake-up) or `never`;
`frozen` stops the process (SIGSTOP) before its commit, and whoever wakes it meets its end.
"""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from typing import Any

from planvault.scheduling.dispatch import Outbound
from planvault.settings import Settings
from planvault.storage.commands import Commands
from planvault.wiring import open_dispatcher


class Dying(Commands):
    """The commands of the process that dies."""

    def __init__(self, inner: Commands, point: str) -> None:
        self._inner = inner
        self._point = point

    async def hold_open(self, *args: Any) -> int:
        return await self._inner.hold_open(*args)

    async def enqueue(self, *args: Any, **kwargs: Any) -> Any:
        done = await self._inner.enqueue(*args, **kwargs)
        if self._point == "before_commit":
            os.kill(os.getpid(), signal.SIGKILL)
        if self._point == "frozen":
            os.kill(os.getpid(), signal.SIGSTOP)
        return done

    async def wake(self, shard: int) -> None:
        if self._point == "after_commit":
            os.kill(os.getpid(), signal.SIGKILL)
        await self._inner.wake(shard)


async def main(point: str) -> None:
    def around(outbound: Outbound) -> Outbound:
        return replace(outbound, commands=Dying(outbound.commands, point))

    async with open_dispatcher(Settings(), around) as dispatcher:
        while await dispatcher.dispatch_due():
            pass


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
