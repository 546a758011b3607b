"""`python -m benchmarks.rate_limits`: what a rate limit costs a request, and how many statements it takes.

Two meters over one Postgres, as in two replicas; each request takes from its key's limit and from its organisation's.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median, quantiles

from benchmarks.machine import facts
from cluster.data_dir import prepare
from cluster.postgres import embedded
from cluster.server_user import server_user
from models.rate_limits import LimitName, Quota
from planvault.storage.migrate import migrate
from planvault.storage.pool import Role, open_pool
from planvault.storage.rates import PostgresRates
from serve_apps.limits.meter import Meter, Wanted
from serve_apps.limits.rules import subject

REQUESTS = 40_000
KEYS = 100
CLIENTS = 32


class _Counted:
    def __init__(self, rates: PostgresRates) -> None:
        self._rates = rates
        self.statements = 0

    async def take(self, weights: Mapping[bytes, float]) -> Mapping[bytes, float]:
        self.statements += 1
        return await self._rates.take(weights)


def _wanted(key: int) -> list[Wanted]:
    own, shared = LimitName.KEY_REQUESTS, LimitName.ORGANIZATION_REQUESTS
    return [
        Wanted(own, subject(own, f"key {key}"), Quota(requests=6_000, seconds=60)),
        Wanted(shared, subject(shared, f"organisation {key // 10}"), Quota(requests=30_000, seconds=60)),
    ]


async def measure(url: str) -> dict[str, float | int]:
    async with AsyncExitStack() as stack:
        pools = [
            await stack.enter_async_context(await open_pool(url, name="bench", maximum=1, role=Role.TENANT))
            for _ in range(2)
        ]
        counted = [_Counted(PostgresRates(pool)) for pool in pools]
        meters = [Meter(rates) for rates in counted]
        for meter in meters:
            await stack.enter_async_context(meter.running())
        took: list[float] = []
        cpu = time.process_time()

        async def client(number: int) -> None:
            for turn in range(REQUESTS // CLIENTS):
                started = time.perf_counter()
                await meters[number % 2].take(_wanted((number + turn) % KEYS))
                took.append(time.perf_counter() - started)
                await asyncio.sleep(0.001)  # a request has more to do

        started = time.perf_counter()
        await asyncio.gather(*(client(number) for number in range(CLIENTS)))
        seconds = time.perf_counter() - started
        return {
            "requests": len(took),
            "requestsPerSecond": round(len(took) / seconds),
            "p50Microseconds": round(median(took) * 1e6, 1),
            "p99Microseconds": round(quantiles(took, n=100)[98] * 1e6, 1),
            "cpuMicroseconds": round((time.process_time() - cpu) / len(took) * 1e6, 1),
            "statementsPerRequest": round(sum(one.statements for one in counted) / len(took), 4),
        }


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="planvault-bench-"))
    os.chmod(folder, 0o755)  # the embedded server's user passes through
    user = server_user()
    server = embedded(prepare(folder / "data", user), user)
    server.start()
    try:
        asyncio.run(migrate(server.url("postgres")))
        found = asyncio.run(measure(server.url("postgres")))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({"machine": facts(), **found}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
