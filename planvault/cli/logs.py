"""`logs`: the newest lines of the platform's own logs."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from planvault.cli.options import DataDirOption, data_dir


def logs(
    part: Annotated[str, typer.Argument(help="Part of a log file's name: api, embedder, raylet, postgres, …")] = "",
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="Lines of each file.")] = 20,
    data: DataDirOption = None,
) -> None:
    """Print the ends of the log files whose name contains PART, newest file last; without it, list the files."""
    from cluster.logs import log_files, tail

    console = Console(soft_wrap=True, highlight=False, markup=False)
    found = log_files(data_dir(data))
    if not found:
        console.print("There are no logs yet.")
    elif not any(part in path.name for path in found):
        console.print(f"No log file's name contains {part!r}; `planvault logs` lists them.")
    for path in found:
        if not part:
            console.print(str(path))
        elif part in path.name:
            _print_tail(path, tail(path, lines), console)


def _print_tail(path: Path, text: str, console: Console) -> None:
    if text:
        console.print(f"── {path}", style="bold")
        console.print(text)
