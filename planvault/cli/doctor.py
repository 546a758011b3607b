"""`doctor`: is this machine fit, and is this installation sound?"""

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from planvault.cli.options import DataDirOption, JsonOption, data_dir

_MARKS = {"ok": Text("✓", "green"), "warning": Text("!", "yellow"), "failed": Text("✗", "red")}


def doctor(data: DataDirOption = None, as_json: JsonOption = False) -> None:
    """Check the machine and the installation; says what to do about each finding. Exit status 1 if one is fatal."""
    from cluster.doctor import examine
    from planvault.settings import Settings

    settings = Settings(data_dir=data_dir(data))
    findings = examine(settings)
    if as_json:
        import json

        print(json.dumps([finding.as_json() for finding in findings], indent=2))
    else:
        table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
        for finding in findings:
            table.add_row(_MARKS[finding.verdict], finding.subject, Text(finding.detail))
        Console().print(table)
    if any(finding.verdict == "failed" for finding in findings):
        raise typer.Exit(1)
