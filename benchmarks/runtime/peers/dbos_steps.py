"""Ten durable steps a workflow in DBOS: `python -m benchmarks.runtime.peers.dbos_steps URL threads|asyncio`.

Both ways of its documentation: plain functions in threads, and coroutines. Each workflow calls its steps in turn.
"""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor

from dbos import DBOS, SetWorkflowID

from benchmarks.runtime.peers.protocol import StepTimes, run_names, serve

_STEPS = 10
_POOL = 16  # connections, as everybody here; the default is 20
_TIMES = StepTimes()
_NAMES = run_names()


def _record(run: str, value: int) -> int:
    _TIMES.note(run)
    return value


async def _record_later(run: str, value: int) -> int:
    _TIMES.note(run)
    return value


record = DBOS.step()(_record)
record_later = DBOS.step()(_record_later)


def _workflow(run: str) -> int:
    last = 0
    for _ in range(_STEPS):
        last = record(run, last)
    return last


async def _workflow_later(run: str) -> int:
    last = 0
    for _ in range(_STEPS):
        last = await record_later(run, last)
    return last


workflow = DBOS.workflow()(_workflow)
workflow_later = DBOS.workflow()(_workflow_later)


async def _in_threads(runs: int, each: int) -> None:
    def one() -> None:
        for _ in range(each):
            run = next(_NAMES)
            with SetWorkflowID(run):
                workflow(run)

    with ThreadPoolExecutor(runs) as threads:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.run_in_executor(threads, one) for _ in range(runs)))


async def _in_coroutines(runs: int, each: int) -> None:
    async def one() -> None:
        for _ in range(each):
            run = next(_NAMES)
            with SetWorkflowID(run):
                await workflow_later(run)

    await asyncio.gather(*(one() for _ in range(runs)))


def main() -> None:
    url, way = sys.argv[1:]
    DBOS(
        config={
            "name": "benchmark",
            "system_database_url": url,
            "sys_db_pool_size": _POOL,
            "max_executor_threads": 256,
            "log_level": "ERROR",
        }
    )
    DBOS.launch()
    try:
        asyncio.run(serve(_in_threads if way == "threads" else _in_coroutines, _TIMES))
    finally:
        DBOS.destroy()


if __name__ == "__main__":
    main()
