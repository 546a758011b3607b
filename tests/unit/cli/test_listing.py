"""Lists in narrow terminals: whatever stands in a cell can be copied from it."""

from io import StringIO

import pytest
from rich.console import Console

from planvault.cli.listing import show

ID = "01a1f9fa-df75-77cf-8cd8-ead776fddd68"
LONG = "a name that is rather long for what it says of something"


def shown(width: int, *rows: tuple[object, ...], folds: bool = False) -> str:
    console = Console(file=StringIO(), width=width)
    show(("id", "name", "details"), rows, empty="None yet.", folds=folds, console=console)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [20, 40, 80, 300])
def test_no_cell_is_cut_or_broken(width: int) -> None:
    text = shown(width, (ID, LONG, "x" * 500), (ID, None, 0))
    assert text.count(ID) == 2
    assert LONG in text
    assert "x" * 500 in text
    assert len(text.splitlines()) == 3


@pytest.mark.parametrize("width", [20, 80, 200])
def test_what_may_be_broken_is_the_last_column_and_all_of_it_is_there(width: int) -> None:
    text = shown(width, (ID, LONG, "x" * 500), folds=True)
    assert ID in text
    assert LONG in text
    assert text.count("x") == 500
    assert len(text.splitlines()) > 2


def test_what_may_be_broken_is_as_wide_as_the_terminal_lets_it() -> None:
    text = shown(200, (ID, "ada", "x" * 500), folds=True)
    assert max(len(line.rstrip()) for line in text.splitlines()) in range(195, 201)


def test_nothing_is_said_in_words() -> None:
    assert shown(80) == "None yet.\n"


def test_brackets_are_no_markup() -> None:
    assert "[bold]ada[/bold]" in shown(80, (ID, "[bold]ada[/bold]", ""))
