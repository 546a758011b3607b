"""The peers' Python environment: made when it is missing, from pyproject.toml's dependency group `bench`.

Not ours: LangGraph's core wants uuid-utils below 1, the platform 1.2 and above.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
import venv
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[3]
DEFAULT = _ROOT / ".venv-peers"


def python_of(folder: Path) -> Path:
    """The environment's interpreter, everything of the group installed."""
    python = folder / "bin" / "python"
    wanted = requirements()
    stamp = folder / "installed.txt"
    if not python.exists():
        venv.create(folder, with_pip=True)
    if not stamp.exists() or stamp.read_text(encoding="utf-8").splitlines() != wanted:
        subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True, stdout=sys.stderr)
        stamp.write_text("\n".join(wanted), encoding="utf-8")
    return python


def requirements() -> list[str]:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [str(requirement) for requirement in project["dependency-groups"]["bench"]]


def versions(python: Path) -> dict[str, str]:
    """What is measured, by distribution."""
    names = ("dbos", "langgraph", "langgraph-checkpoint-postgres")
    code = f"from importlib.metadata import version\nfor name in {names!r}: print(version(name))"
    shown = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    return dict(zip(names, shown, strict=True))
