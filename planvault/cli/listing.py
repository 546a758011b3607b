"""What was found, a line each, in columns. Ids are there to be copied: a line too long for the terminal, which breaks
it without a line end, beats an id in pieces."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_LEAST_FOLDED = 40


def show(
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    empty: str,
    folds: bool = False,
    console: Console | None = None,
) -> None:
    """Print `rows` below the names of `columns`, or `empty` where there are none; None is an empty cell.

    `folds`: the last column holds sentences or documents, and is broken to what the others leave of the terminal.
    """
    console = console or Console()
    if not rows:
        console.print(Text(empty), soft_wrap=True)
        return
    texts = [[Text("" if cell is None else str(cell)) for cell in row] for row in rows]
    whole = _table(columns, texts)
    if folds:
        before = Measurement.get(console, console.options.update(width=1_000_000), _table(columns[:-1], texts))
        whole.columns[-1].no_wrap, whole.columns[-1].overflow = False, "fold"
        whole.columns[-1].max_width = max(_LEAST_FOLDED, console.width - before.maximum)
    needed = Measurement.get(console, console.options.update(width=1_000_000), whole).maximum
    console.width = max(console.width, needed)
    console.print(whole)


def _table(columns: Sequence[str], rows: Sequence[Sequence[Text]]) -> Table:
    """As many columns as have names."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, no_wrap=True)
    for row in rows:
        table.add_row(*row[: len(columns)])
    return table


def minute(time: object) -> str:
    """An RFC 3339 time for people, UTC; None: never."""
    return str(time or "never")[:16].replace("T", " ")
