"""A scenario's instruction to the planner: a template that a session's contextVars fill. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Final

from models.base import JsonValue

MAX_TEMPLATE: Final = 4_000  # characters
MAX_VALUE: Final = 500  # of one value's text: context is data, and must not drown the instruction
MAX_FILLED: Final = 8_000
SECRETS: Final = "secrets."

_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_.-]{0,99})\s*\}\}")
_ANY = re.compile(r"\{\{.*?\}\}", re.DOTALL)


def fault_of(template: str) -> str | None:
    """What is wrong with a template, in words; None: nothing."""
    for found in _ANY.finditer(template):
        if _PLACEHOLDER.fullmatch(found[0]) is None:
            return f"{found[0][:60]} is no placeholder: write {{{{key}}}}, a key of letters, digits and _ . -"
    return None


def filled(template: str, context_vars: Mapping[str, JsonValue]) -> str:
    """The template with `{{key}}` and `{{key.inner}}` replaced by the session's values: text as it is, else as JSON.

    A key that the session lacks shows as `(key: not given)`: the planner must not take the blank for an answer. Values
    are cut at MAX_VALUE characters, and never read as templates again.
    """
    return _PLACEHOLDER.sub(lambda found: _replaced(found, context_vars), template)[:MAX_FILLED]


def _replaced(found: re.Match[str], context_vars: Mapping[str, JsonValue]) -> str:
    """Handles of secrets are the plan's to write: they stay."""
    return found[0] if found[1].startswith(SECRETS) else _shown(found[1], context_vars)


def _shown(key: str, context_vars: Mapping[str, JsonValue]) -> str:
    value: JsonValue = dict(context_vars)
    # A key with a dot in it is looked for as it is before it is taken for a path.
    for part in (key,) if key in context_vars else key.split("."):
        if not isinstance(value, dict) or part not in value:
            return f"({key}: not given)"
        value = value[part]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_VALUE else text[:MAX_VALUE] + "…"
