"""Expressions → the one canonical text that parses back to them."""

import json
import re

from models.plans import (
    Arith,
    Compare,
    DictOf,
    Expr,
    FieldAccess,
    Func,
    IndexAccess,
    ListOf,
    Lit,
    Logic,
    SecretRef,
    Text,
    Unary,
    Var,
)
from planvault.plan.names import CONCAT, is_identifier
from planvault.plan.secret_text import spell, spells_f_string_handle

# Binding strength, as in Python's grammar: a part that binds weaker than its place stands in parentheses.
_OR, _AND, _NOT, _COMPARE, _SUM, _PRODUCT, _SIGN, _ATOM = range(1, 9)
_ARITH = {"+": _SUM, "-": _SUM, "*": _PRODUCT, "/": _PRODUCT, "//": _PRODUCT, "%": _PRODUCT}
_TAG = re.compile(r"<(?=/?script)", re.IGNORECASE)
_NOT_IN_F_STRING = frozenset('"\\#\n')


def render_expr(expr: Expr) -> str:
    return _Renderer('"').render(expr)


def string_literal(text: str, quote: str = '"') -> str:
    """A string in quotes, on one line; the tags that end a script never stand in it."""
    literal = _TAG.sub(r"\\x3c", json.dumps(text, ensure_ascii=False))
    if quote == '"':
        return literal
    return "'" + literal[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"


class _Renderer:
    def __init__(self, quote: str) -> None:
        self._quote = quote

    def render(self, expr: Expr, least: int = 0) -> str:
        text, strength = self._render(expr)
        return f"({text})" if strength < least else text

    def _render(self, expr: Expr) -> tuple[str, int]:
        match expr:
            case Lit():
                return self._literal(expr)
            case Var():
                return expr.name, _ATOM
            case SecretRef():
                return string_literal(spell(expr.name), self._quote), _ATOM
            case FieldAccess():
                base = self._base(expr.base)
                if is_identifier(expr.key):
                    return f"{base}.{expr.key}", _ATOM
                return f"{base}[{string_literal(expr.key, self._quote)}]", _ATOM
            case IndexAccess():
                return f"{self._base(expr.base)}[{self.render(expr.index)}]", _ATOM
            case Text():
                return self._text(expr), _ATOM
            case Compare():
                # Comparisons do not chain, so both sides bind more tightly.
                left, right = self.render(expr.left, _COMPARE + 1), self.render(expr.right, _COMPARE + 1)
                return f"{left} {expr.op.value} {right}", _COMPARE
            case Logic():
                strength = _AND if expr.op == "and" else _OR
                return f" {expr.op} ".join(self.render(part, strength + 1) for part in expr.operands), strength
            case Unary():
                if expr.op == "not":
                    return f"not {self.render(expr.operand, _NOT)}", _NOT
                return f"-{self.render(expr.operand, _SIGN)}", _SIGN
            case Arith():
                strength = _ARITH[expr.op]
                return f"{self.render(expr.left, strength)} {expr.op} {self.render(expr.right, strength + 1)}", strength
            case ListOf():
                return "[" + ", ".join(self.render(item) for item in expr.items) + "]", _ATOM
            case DictOf():
                entries = (
                    f"{string_literal(entry.key, self._quote)}: {self.render(entry.value)}" for entry in expr.entries
                )
                return "{" + ", ".join(entries) + "}", _ATOM
            case Func():
                return f"{expr.name}({', '.join(self.render(arg) for arg in expr.args)})", _ATOM

    def _literal(self, expr: Lit) -> tuple[str, int]:
        if isinstance(expr.value, str):
            return string_literal(expr.value, self._quote), _ATOM
        text = repr(expr.value)
        return text, _SIGN if text.startswith("-") else _ATOM

    def _base(self, base: Expr) -> str:
        text = self.render(base, _ATOM)
        return f"({text})" if isinstance(base, Lit) and not isinstance(base.value, str) else text

    def _text(self, expr: Text) -> str:
        if all(isinstance(part, SecretRef) or _text_literal(part) is not None for part in expr.parts):
            spelled = (spell(p.name) if isinstance(p, SecretRef) else _text_literal(p) or "" for p in expr.parts)
            return string_literal("".join(spelled), self._quote)
        return self._f_string(expr) or f"{CONCAT}({', '.join(self.render(part) for part in expr.parts)})"

    def _f_string(self, expr: Text) -> str | None:
        """The text as an f-string, or None where Python 3.11 could not read it back exactly."""
        if self._quote != '"':
            return None
        inside = _Renderer("'")
        pieces: list[str] = []
        for part in expr.parts:
            literal = _text_literal(part)
            if literal is not None:
                if spells_f_string_handle(literal):
                    return None
                pieces.append(string_literal(literal)[1:-1].replace("{", "{{").replace("}", "}}"))
            elif isinstance(part, SecretRef):
                pieces.append(spell(part.name))
            else:
                text = inside.render(part)
                if text.startswith("{") or not _NOT_IN_F_STRING.isdisjoint(text):
                    return None
                pieces.append(f"{{{text}}}")
        joined = "".join(pieces)
        return f'f"{joined}"' if _handles_stand_apart(expr) else None


def _text_literal(part: Expr) -> str | None:
    return part.value if isinstance(part, Lit) and isinstance(part.value, str) else None


def _handles_stand_apart(expr: Text) -> bool:
    """Whether no brace touches a handle: beside one it could not be told which braces are the handle's."""
    for before, after in zip(expr.parts, expr.parts[1:], strict=False):
        literal = _text_literal(before) if isinstance(after, SecretRef) else None
        if literal is not None and literal.endswith("{"):
            return False
        literal = _text_literal(after) if isinstance(before, SecretRef) else None
        if literal is not None and literal.startswith("}"):
            return False
    return True
