"""One graph with one node that has an effect: `python -m benchmarks.runtime.peers.langgraph_crash URL WITNESS RUN`.

Started again after a kill, the thread is resumed from its last checkpoint, as the documentation says: with no input.
"""

from __future__ import annotations

import sys
from typing import Any, TypedDict

from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.graph import END, START, StateGraph

from benchmarks.runtime.peers.effect import cause


class State(TypedDict):
    witness: str
    said: str


def effect(state: State) -> dict[str, str]:
    cause(state["witness"])
    return {"said": "done"}


def main() -> None:
    url, witness, run = sys.argv[1:]
    with PostgresSaver.from_conn_string(url) as saver:
        saver.setup()
        graph = StateGraph(State)
        graph.add_node("effect", effect)
        graph.add_edge(START, "effect")
        graph.add_edge("effect", END)
        app = graph.compile(checkpointer=saver)
        place: Any = {"configurable": {"thread_id": run}}
        begun = bool(app.get_state(place).next)
        given: Any = None if begun else {"witness": witness, "said": ""}
        print(app.invoke(given, place, durability="sync")["said"], flush=True)


if __name__ == "__main__":
    main()
