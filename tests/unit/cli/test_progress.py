"""How a bring-up looks, in a terminal and in a log."""

import io

from rich.console import Console

from planvault.cli.progress import bringing_up

PARTS = ("database", "ray")


def live_displays(console: Console) -> int:
    return len(console._live_stack)  # Rich has no public word for it


def test_without_a_terminal_each_step_is_a_line() -> None:
    out = io.StringIO()
    with bringing_up(PARTS, Console(file=out)) as report:
        report("database", "starting")
        report("database", "")
    assert [line.split("  ")[-1] for line in out.getvalue().splitlines()] == ["database: starting", "database: ready"]


def test_in_a_terminal_the_live_display_ends_with_the_last_part() -> None:
    """A question asked inside a live display would be painted over."""
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with bringing_up(PARTS, console) as report:
        report("database", "starting")
        assert live_displays(console) == 1
        report("database", "")
        report("ray", "")
        assert live_displays(console) == 0
