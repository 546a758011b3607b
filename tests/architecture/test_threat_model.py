"""docs/threat-model.md and docs/egress.md name tests; each of them exists."""

import ast
import re

import pytest

from tests.architecture.test_rooms import ROOT

THREATS = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(test_[a-z0-9_]+)`", THREATS)))


def existing() -> set[str]:
    return {
        node.name
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


def test_every_test_that_the_threat_model_names_is_there() -> None:
    assert len(NAMED) > 50
    assert sorted(set(NAMED) - existing()) == []


def rows() -> list[list[str]]:
    """Rows of the threats' tables: threat, by, control, held by."""
    chapter = THREATS.partition("## Threats")[2]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in chapter.splitlines() if line[:2] == "| "]
    return [row for row in cells if row[0] != "threat"]


@pytest.mark.parametrize("row", [pytest.param(row, id=row[0][:60]) for row in rows()])
def test_every_threat_has_a_control_and_a_test_that_holds_it(row: list[str]) -> None:
    threat, attackers, control, held_by = row
    assert threat
    assert control
    assert re.findall(r"`test_[a-z0-9_]+`", held_by), f"nothing holds: {threat}"
    assert set(re.findall(r"[A-Z]", attackers)) <= set("STVMIDN")


@pytest.mark.parametrize("page", ["egress.md"])
def test_the_files_of_tests_that_a_page_names_are_there(page: str) -> None:
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`(tests/[a-z0-9_/]+\.py)`", text))
    assert named
    assert [path for path in sorted(named) if not (ROOT / path).is_file()] == []
