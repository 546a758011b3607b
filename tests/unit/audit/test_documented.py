"""Whoever reads a log finds every word of it explained."""

from pathlib import Path

from models.audit import AuditAction
from planvault.audit.faults import FaultKind

DOCS = Path(__file__).resolve().parents[3] / "docs"


def test_every_action_stands_on_one_of_the_two_pages() -> None:
    pages = "".join((DOCS / name).read_text(encoding="utf-8") for name in ("approvals.md", "audit.md"))
    assert [action for action in AuditAction if f"`{action}`" not in pages] == []


def test_every_fault_stands_on_the_page() -> None:
    page = (DOCS / "audit.md").read_text(encoding="utf-8")
    assert [kind for kind in FaultKind if f"`{kind}`" not in page] == []
