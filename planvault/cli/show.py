"""`demo`: the whole story on this machine, from nothing and back to nothing."""

from contextlib import AbstractContextManager
from typing import Annotated

import typer
from rich.console import Console

from planvault.cli.progress import Report, bringing_up

PortOption = Annotated[int, typer.Option("--port", min=0, max=65535, help="Default: a free one.")]


def demo(port: PortOption = 0) -> None:
    """Bring a platform up, import the sample shop, run five prompts, take everything down."""
    from cluster.topology import PARTS
    from planvault.cli.demo import run, temporary_platform

    def reporting() -> AbstractContextManager[Report]:
        return bringing_up(PARTS, Console(stderr=True))

    raise typer.Exit(run(lambda: temporary_platform(reporting, port)))
