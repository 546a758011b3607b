"""Secret handles in the text of a plan: `{{secrets.NAME}}` becomes a SecretRef wherever a string literal spells it."""

import re
from collections.abc import Iterable

from models.plans import Expr, Lit, Loc, SecretRef, Text

_HANDLE = re.compile(r"\{\{\s*secrets\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
# In an f-string `{{` is one brace: both {{secrets.X}} and {{{{secrets.X}}}} are meant as the handle there.
_F_STRING_HANDLE = re.compile(r"\{?\{\s*secrets\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}?")


def spell(name: str) -> str:
    return f"{{{{secrets.{name}}}}}"


def spells_handle(text: str) -> bool:
    return _HANDLE.search(text) is not None


def spells_f_string_handle(text: str) -> bool:
    """Whether the text would be taken for a handle if it stood in an f-string."""
    return _F_STRING_HANDLE.search(text) is not None


def f_string_parts(text: str, loc: Loc | None) -> list[Expr]:
    """The constant text of an f-string, its handles taken out."""
    return _split(text, _F_STRING_HANDLE, loc)


def text_of(parts: Iterable[Expr], loc: Loc | None) -> Expr:
    """The canonical expression of joined parts.

    Neighbouring literals are merged, nested texts dissolved, handles found, empty literals dropped. What is left is a
    Lit (no handle, no expression), a SecretRef (one handle alone) or a Text.
    """
    merged: list[Expr] = []
    for part in _flat(parts):
        last = merged[-1] if merged else None
        if isinstance(part, Lit) and isinstance(part.value, str):
            if isinstance(last, Lit) and isinstance(last.value, str):
                merged[-1] = Lit(value=last.value + part.value, loc=last.loc)
            else:
                merged.append(part)
        else:
            merged.append(part)
    found = [piece for part in merged for piece in _without_handles(part)]
    if not found:
        return Lit(value="", loc=loc)
    if len(found) == 1 and (isinstance(found[0], SecretRef) or _is_text(found[0])):
        return found[0]
    return Text(parts=tuple(found), loc=loc)


def _flat(parts: Iterable[Expr]) -> Iterable[Expr]:
    for part in parts:
        if isinstance(part, Text):
            yield from part.parts
        else:
            yield part


def _is_text(expr: Expr) -> bool:
    return isinstance(expr, Lit) and isinstance(expr.value, str)


def _without_handles(part: Expr) -> list[Expr]:
    if isinstance(part, Lit) and isinstance(part.value, str):
        return _split(part.value, _HANDLE, part.loc)
    return [part]


def _split(text: str, pattern: re.Pattern[str], loc: Loc | None) -> list[Expr]:
    pieces: list[Expr] = []
    end = 0
    for match in pattern.finditer(text):
        if match.start() > end:
            pieces.append(Lit(value=text[end : match.start()], loc=loc))
        pieces.append(SecretRef(name=match[1], loc=loc))
        end = match.end()
    if end < len(text):
        pieces.append(Lit(value=text[end:], loc=loc))
    return pieces
