"""Which names a plan may use for its variables, and which words mean something already."""

import keyword
import re
from collections.abc import Container

from planvault.plan.functions import FUNCTIONS

RUN_STARTED_AT = "run_started_at"

STATEMENT_WORDS = frozenset({"reply", "fail", "slot", "call", "attempt"})
LITERAL_WORDS = {"true": True, "false": False, "null": None}
CONCAT = "concat"
"""`concat(a, b, …)`: the spelling of a text that no f-string can hold."""

RESERVED = STATEMENT_WORDS | LITERAL_WORDS.keys() | FUNCTIONS.keys() | {CONCAT, RUN_STARTED_AT, "secrets"}

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def is_identifier(name: str) -> bool:
    """ASCII identifier of the plan language: no keyword, no dunder."""
    return bool(_IDENTIFIER.fullmatch(name)) and not keyword.iskeyword(name) and not name.startswith("__")


def why_no_variable(name: str) -> str | None:
    """Why `name` cannot be assigned to, as the end of the sentence “'x' …”; None if it can."""
    if name in STATEMENT_WORDS or name == "secrets":
        return "is a word of the plan language"
    if name in FUNCTIONS or name == CONCAT:
        return "is the name of a standard function"
    if name == RUN_STARTED_AT:
        return "is a constant"
    if name in LITERAL_WORDS:
        return "is a literal"
    if not is_identifier(name):
        return "is not a plain ASCII identifier"
    return None


def variable_name(text: str, taken: Container[str] = ()) -> str:
    """A free variable name that resembles `text`, for planners that make names from parameters or tools."""
    base = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_") or "value"
    if base[0].isdigit():
        base = f"v_{base}"
    if why_no_variable(base) is not None:
        base = f"{base}_value"
    candidate, number = base, 2
    while candidate in taken:
        candidate, number = f"{base}_{number}", number + 1
    return candidate
