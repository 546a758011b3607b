"""Rules of the house that import-linter cannot see."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("models", "planvault", "retrieval", "actors", "serve_apps", "cluster", "migrations")
# One list of parts by name: split, the same names would be passed on twice.
LISTS = {"open_deps"}
BANNED_NAMES = {"utils.py", "helpers.py", "common.py", "misc.py", "manager.py"}


def modules() -> Iterator[Path]:
    for room in ROOMS:
        yield from (ROOT / room).rglob("*.py")


def test_no_module_is_a_drawer_for_odds_and_ends() -> None:
    assert [path for path in modules() if path.name in BANNED_NAMES] == []


@pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(ROOT))) for path in modules()])
def test_every_module_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{path.relative_to(ROOT)} has no docstring"
    longest = max(
        (
            node.end_lineno - node.lineno
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno
            if node.name not in LISTS
        ),
        default=0,
    )
    assert longest <= 60, f"{path.relative_to(ROOT)} has a function of {longest} lines"
