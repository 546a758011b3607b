"""`python -m benchmarks.fuzz [--examples 50] [--seed 1] [--only REGEX] [--caller REGEX]`: cases, statuses, failures.

Each kind of caller fuzzes the routes that are its own, valid and invalid input, one call and chains of calls along the
document's links. Exit status 1 where an answer was a 5xx, or not what the document says.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.fuzz.callers import Effort, callers, fuzz
from benchmarks.fuzz.room import throw_away


async def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fuzz", description=__doc__)
    parser.add_argument("--examples", type=int, default=50, help="of each route and kind of caller")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="regular expression: paths")
    parser.add_argument("--caller", default="", help="regular expression: kinds of callers")
    arguments = parser.parse_args()
    effort = Effort(arguments.examples, arguments.seed, arguments.only)
    started = time.monotonic()
    good = True
    async with throw_away() as place:
        with tempfile.TemporaryDirectory(prefix="planvault-fuzz-") as folder:
            for caller in callers(place):
                if re.search(arguments.caller, caller.name):
                    good &= await fuzz(place, caller, effort, Path(folder))
        tally = place.tally
    print(
        json.dumps(
            {
                "cases": sum(tally.statuses.values()),
                "seconds": round(time.monotonic() - started, 1),
                "statuses": {str(status): number for status, number in sorted(tally.statuses.items())},
                "serverErrors": dict(tally.failed),
                "conforms": good,
            },
            indent=2,
        )
    )
    return 0 if good and not tally.failed else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
