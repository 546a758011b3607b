"""Collects every problem of a plan: position, what is wrong, and how to mend it."""

from collections.abc import Iterable
from difflib import get_close_matches

from models.planning import PlanProblem
from models.plans import Loc

MAX_PROBLEMS = 100
"""More than a person or a repair prompt can use; what comes after is dropped."""


class Problems:
    """A list of problems in the order of discovery, without exact repeats."""

    def __init__(self) -> None:
        self._found: dict[PlanProblem, None] = {}

    def add(self, code: str, message: str, loc: Loc | None = None, hint: str = "") -> None:
        if len(self._found) >= MAX_PROBLEMS:
            return
        line, column = (loc.line, loc.column) if loc else (None, None)
        self._found[PlanProblem(code=code, message=message, line=line, column=column, hint=hint)] = None

    def extend(self, problems: Iterable[PlanProblem]) -> None:
        for problem in problems:
            if len(self._found) < MAX_PROBLEMS:
                self._found[problem] = None

    def __len__(self) -> int:
        return len(self._found)

    def in_source_order(self) -> tuple[PlanProblem, ...]:
        """By line and column; what has no position comes last."""
        return tuple(sorted(self._found, key=lambda p: (p.line is None, p.line or 0, p.column or 0)))


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be."""
    options = list(known)
    folded = {option.casefold(): option for option in reversed(options)}
    if name.casefold() in folded:
        return folded[name.casefold()]
    found = get_close_matches(name[:200], options, n=1, cutoff=0.6)
    return found[0] if found else None


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    found = nearest(name, known)
    return f"Did you mean {found!r}?" if found else otherwise


def shown(text: str, limit: int = 60) -> str:
    """A name from outside, short enough to stand in a message."""
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")
