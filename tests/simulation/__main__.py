"""`python -m tests.simulation --seed N` tells one life; `--seeds A:B` runs many and tells the first that fails."""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.life import Life
from tests.simulation.run import Failure, run


def out(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _tell(seed: int) -> None:
    """Raises whatever the life breaks."""
    out(Life(seed, out).live())


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--seed", type=int, help="told step by step")
    which.add_argument("--seeds", metavar="FIRST:END", help="silently, END not included")
    given = parser.parse_args()
    if given.seed is not None:
        _tell(given.seed)
        return 0
    first, end = map(int, given.seeds.split(":"))
    started = time.monotonic()
    try:
        events = run(range(first, end))
    except Failure as failure:
        out(str(failure))
        _tell(failure.seed)
        return 1
    out(f"{end - first:,} seeds, {events:,} events, {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
