"""What a bring-up looks like: a live line a part in a terminal, plain lines elsewhere. Always on stderr."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

Report = Callable[[str, str], None]
"""Part, and what it is doing; an empty text means that it is ready."""


@contextmanager
def bringing_up(parts: tuple[str, ...], console: Console) -> Iterator[Report]:
    if not console.is_terminal:
        yield _plain(console)
        return
    columns = (
        SpinnerColumn(finished_text="[green]✓[/green]"),
        TextColumn("{task.fields[part]:<9}"),
        BarColumn(bar_width=12),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        tasks: dict[str, TaskID] = {part: progress.add_task("", total=1, start=False, part=part) for part in parts}

        waiting = set(parts)

        def report(part: str, doing: str) -> None:
            task = tasks[part]
            if doing:
                progress.start_task(task)
            progress.update(task, description=doing or "ready", completed=0 if doing else 1)
            (waiting.add if doing else waiting.discard)(part)
            if not waiting:
                progress.stop()  # what is printed from now on belongs to the caller, questions included

        yield report


def _plain(console: Console) -> Report:
    started = time.monotonic()

    def report(part: str, doing: str) -> None:
        console.print(f"{time.monotonic() - started:6.1f} s  {part}: {doing or 'ready'}", highlight=False)

    return report
