"""Ten nodes a graph in LangGraph with its Postgres saver, `durability="sync"`.

`python -m benchmarks.runtime.peers.langgraph_steps URL shared|each`: one saver for all runs, or one a run. The saver
holds a lock while it writes, so that with one saver all runs of a process write in turn. Both use one pool, with the
connection settings that its documentation asks for.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any, TypedDict

import uvloop
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.graph import END, START, StateGraph
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from benchmarks.runtime.peers.protocol import StepTimes, run_names, serve

_STEPS = 10
_POOL = 16
_TIMES = StepTimes()
_NAMES = run_names()


class State(TypedDict):
    run: str
    last: int


async def record(state: State) -> dict[str, int]:
    _TIMES.note(state["run"])
    return {"last": state["last"]}


def ten_nodes() -> Any:
    graph = StateGraph(State)
    names = [f"n{number}" for number in range(_STEPS)]
    for name in names:
        graph.add_node(name, record)
    for before, after in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(before, after)
    return graph


async def main() -> None:
    url, savers = sys.argv[1:]
    connection = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    async with AsyncConnectionPool(url, min_size=_POOL, max_size=_POOL, kwargs=connection) as pool:
        shared = AsyncPostgresSaver(pool)
        await shared.setup()
        graph = ten_nodes()
        compiled = graph.compile(checkpointer=shared)

        async def measure(runs: int, each: int) -> None:
            async def one() -> None:
                for _ in range(each):
                    app = compiled if savers == "shared" else graph.compile(checkpointer=AsyncPostgresSaver(pool))
                    run = next(_NAMES)
                    place = {"configurable": {"thread_id": run}}
                    await app.ainvoke({"run": run, "last": 0}, place, durability="sync")

            await asyncio.gather(*(one() for _ in range(runs)))

        await serve(measure, _TIMES)


if __name__ == "__main__":
    uvloop.run(main())
