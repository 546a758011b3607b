"""One workflow with one step that has an effect: `python -m benchmarks.runtime.peers.dbos_crash URL WITNESS RUN`.

Started again after a kill, DBOS recovers the workflow by itself; here its result is waited for.
"""

from __future__ import annotations

import sys

from dbos import DBOS, SetWorkflowID

from benchmarks.runtime.peers.effect import cause


def _effect(witness: str) -> None:
    cause(witness)


effect = DBOS.step()(_effect)


def _workflow(witness: str) -> str:
    effect(witness)
    return "done"


workflow = DBOS.workflow()(_workflow)


def main() -> None:
    url, witness, run = sys.argv[1:]
    DBOS(config={"name": "crash", "system_database_url": url, "log_level": "ERROR"})
    DBOS.launch()
    try:
        with SetWorkflowID(run):
            handle = DBOS.start_workflow(workflow, witness)
        print(handle.get_result(), flush=True)
    finally:
        DBOS.destroy()


if __name__ == "__main__":
    main()
