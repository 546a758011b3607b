"""Run-time values of the plan language: JSON, and text that still holds secret handles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from models.base import JsonScalar


@dataclass(frozen=True, slots=True)
class SecretHandle:
    """`{{secrets.NAME}}`, not yet a value. Only a tool executor resolves it."""

    name: str


@dataclass(frozen=True, slots=True)
class SecretText:
    """Text with at least one secret handle in it, in order.

    It comes from the plan's own literals only: a tool's output that spells `{{secrets.NAME}}` stays plain text.
    """

    parts: tuple[str | SecretHandle, ...]

    def __str__(self) -> str:
        """The text with its handles spelled out; safe to show, never resolved."""
        return "".join(part if isinstance(part, str) else f"{{{{secrets.{part.name}}}}}" for part in self.parts)


Value: TypeAlias = "JsonScalar | SecretText | list[Value] | dict[str, Value]"
