"""The facts of the machine that a figure was measured on, to be printed beside it."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from pathlib import Path
from statistics import median

import psutil


def facts() -> dict[str, str | int | float]:
    """Processor, cores, memory, Python, and the median time of an fdatasync of one page."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "memoryGiB": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "loadBefore": round(os.getloadavg()[0], 2),
        "fdatasyncMs": round(fdatasync_ms(), 3),
    }


def fdatasync_ms(rounds: int = 100) -> float:
    """Median milliseconds of appending 8 KiB to a file and waiting until the disk has it."""
    page = b"\0" * 8_192
    took = []
    with tempfile.TemporaryFile(dir=Path.cwd()) as file:
        for _ in range(rounds):
            started = time.perf_counter()
            file.write(page)
            file.flush()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - started) * 1_000)
    return median(took)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
