"""The experiments by name, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from benchmarks.runtime.experiments import Place, Row, commits, crash, files, large, reads, recovery, steps, waiting

EXPERIMENTS: Mapping[str, Callable[[Place], Coroutine[Any, Any, list[Row]]]] = {
    "steps": steps.run,
    "commits": commits.run,
    "files": files.run,
    "crash": crash.run,
    "recovery": recovery.run,
    "waiting": waiting.run,
    "reads": reads.run,
    "large": large.run,
}
