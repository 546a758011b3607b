"""The sample shop, answering so slowly that a test can act while a call is on the wire."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def slow_shop(latency_s: float) -> Iterator[str]:
    """Its base URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "examples.shop", "--port", "0", "--latency", str(latency_s)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield line.split()[-1].strip()
    finally:
        process.terminate()
        process.wait(10)
