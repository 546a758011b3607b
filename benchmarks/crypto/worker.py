"""The process that rotates, for `python -m benchmarks.crypto`."""

import asyncio
import os
from pathlib import Path

from benchmarks.crypto.__main__ import worker

if __name__ == "__main__":
    asyncio.run(worker(os.environ["BENCH_URL"], Path(os.environ["BENCH_KEYSET"])))
