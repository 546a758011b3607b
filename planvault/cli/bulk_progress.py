"""What a bulk import looks like while it runs: a bar in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from models.base import JsonObject, JsonValue

_QUIET_S = 10.0  # between two lines where there is no terminal


class BulkProgress:
    """One bar, which is that of the present stage."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (TextColumn("  {task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        self._bars = Progress(*columns, console=console, disable=not console.is_terminal)
        self._bar = self._bars.add_task("", total=None)
        self._printed: tuple[str, float] = ("", 0.0)
        self._files = self._sent = 0

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def uploading(self, files: int, size: int) -> None:
        self._files = files
        self._bars.update(self._bar, total=size, completed=0)

    def uploaded(self, size: int) -> None:
        self._sent += 1
        self._bars.update(self._bar, advance=size)
        self._say("upload", f"{self._sent:,} of {self._files:,} documents sent")

    def show(self, job: JsonObject) -> None:
        stage = str(job.get("stage") or job.get("status"))
        match stage:
            case "documents":
                done, total = number(job.get("bytesDone")), number(job.get("bytes"))
                text = f"{counted(job, 'total') - counted(job, 'waiting'):,} of {counted(job, 'total'):,} documents"
                text += f", {number(job.get('tools')):,.0f} tools"
            case "embedding":
                done, total = number(job.get("embedded")), number(job.get("toEmbed"))
                text = f"{done:,.0f} of {total:,.0f} tools embedded"
            case _:
                done, total, text = 0.0, 0.0, stage
        rate, left = number(job.get("rate")), number(job.get("stageSecondsLeft"))
        text += f", {rate:,.0f}/s" if rate else ""
        text += f", {seconds(left)} left" if left else ""
        self._bars.update(self._bar, total=total or None, completed=done)
        self._say(stage, text)

    def _say(self, stage: str, text: str) -> None:
        self._bars.update(self._bar, description=text)
        printed, at = self._printed
        now = time.monotonic()
        if not self._console.is_terminal and (stage != printed or now - at >= _QUIET_S):
            self._printed = (stage, now)
            self._console.print(f"{stage}: {text}", highlight=False)


def counted(job: JsonObject, status: str) -> int:
    documents = job.get("documents")
    count = documents.get(status) if isinstance(documents, dict) else None
    return count if isinstance(count, int) else 0


def number(value: JsonValue) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def seconds(value: float) -> str:
    """`95` → `1 min 35 s`."""
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes else f"{value:.1f} s" if value < 10 else f"{rest} s"
