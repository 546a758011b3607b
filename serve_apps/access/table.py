"""The written policy as the table of docs/access.md, which a test compares with what stands there.

`python -m serve_apps.access.table docs/access.md` writes it anew: a changed policy is a changed document, to review.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from models.access import ROLE_PERMISSIONS, Role
from planvault.auth.principals import PrincipalKind
from planvault.auth.scopes import grants
from serve_apps.access.policy import POLICY, Rule

_YES, _NO = "✓", "·"


def lines(policy: Iterable[Rule] = POLICY) -> list[str]:
    """Markdown: a row a route. `key`: a project key with the permission among its scopes."""
    head = ("route", "permission", "key", "admin token", *(role.value for role in reversed(Role)), "service from")
    return [_row(head), _row("---" for _ in head), *(_row(_cells(rule)) for rule in policy)]


def _cells(rule: Rule) -> tuple[str, ...]:
    route = f"`{rule.method} {rule.path}`"
    if rule.is_open:
        return (route, "none: anybody", *(_YES for _ in range(3 + len(Role))))
    by_role = (_mark(PrincipalKind.USER in rule.kinds and _has(role, rule)) for role in reversed(Role))
    services = [role for role in Role if role is not Role.OWNER and _has(role, rule)]
    machine = f"{services[-1]}" if PrincipalKind.SERVICE in rule.kinds and services else _NO
    return (
        route,
        f"`{rule.permission}`" if rule.permission else "being signed in",
        _mark(PrincipalKind.PROJECT_KEY in rule.kinds),
        _mark(PrincipalKind.ADMIN in rule.kinds),
        *by_role,
        machine,
    )


def _has(role: Role, rule: Rule) -> bool:
    return not rule.permission or grants(ROLE_PERMISSIONS[role], rule.permission)


def _mark(allowed: bool) -> str:
    return _YES if allowed else _NO


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


BEGIN, END = "<!-- policy -->\n", "<!-- /policy -->"


def shown_in(document: str) -> list[str]:
    """The table that a document shows. Raises ValueError for one that has no place for it."""
    return document[document.index(BEGIN) + len(BEGIN) : document.index(END)].strip().splitlines()


def write_into(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    table = "\n".join(lines())
    before, after = text[: text.index(BEGIN) + len(BEGIN)], text[text.index(END) :]
    path.write_text(f"{before}\n{table}\n\n{after}", encoding="utf-8")


if __name__ == "__main__":
    write_into(Path(sys.argv[1]))
