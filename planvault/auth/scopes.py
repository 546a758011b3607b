"""How permissions are matched, and what a project key may hold: `hrn:` and colon-separated segments.

`*` stands for exactly one segment; as the last segment it stands for one or more. A scope grants what it matches.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from models.access import PROJECT_PERMISSIONS
from planvault.errors import FieldError, InvalidInput

GRANTABLE = PROJECT_PERMISSIONS
"""What routes ask for. A key's scopes may be these or patterns that match at least one of them."""

_SCOPE = re.compile(r"hrn:project(:([a-z][a-z0-9-]*|\*))+")


def grants(held: Iterable[str], wanted: str) -> bool:
    """Whether any held scope covers `wanted` (a plain scope, no pattern)."""
    return any(_matches(pattern, wanted) for pattern in held)


def check_scopes(scopes: Iterable[str]) -> tuple[str, ...]:
    """The scopes of a new key, sorted, without doubles. Raises InvalidInput that names each faulty one."""
    wanted = sorted(set(scopes))
    if not wanted:
        raise InvalidInput("A key needs at least one scope", errors=(FieldError("/scopes", "must not be empty"),))
    faults = tuple(
        FieldError("/scopes", f"{scope!r} grants nothing; known scopes: {', '.join(sorted(GRANTABLE))}")
        for scope in wanted
        if _SCOPE.fullmatch(scope) is None or not any(_matches(scope, known) for known in GRANTABLE)
    )
    if faults:
        raise InvalidInput("A scope is not known", errors=faults)
    return tuple(wanted)


@lru_cache(maxsize=1_024)
def _matches(pattern: str, wanted: str) -> bool:
    held, asked = pattern.split(":"), wanted.split(":")
    if "*" in asked:
        return False  # a pattern is never what a route asks for
    if held[-1] == "*":
        if len(asked) < len(held):
            return False
        held, asked = held[:-1], asked[: len(held) - 1]
    return len(held) == len(asked) and all(one in ("*", other) for one, other in zip(held, asked, strict=True))
