"""Whether a text names somebody: the identifier of a person, in the spellings that our own records can hold it in."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, quote_plus

from models.base import JsonValue

_SHORTEST: Final = 4  # a shorter identifier is met by chance inside other texts: only a whole text counts
_INSIDE: Final = r"[^\W_]"


def _quoted(text: str) -> str:
    return quote(text, safe="")


class Mentions:
    """`identifiers`: as the caller of the API named the person, or all names of a member of the staff. Case does not
    matter, nor whether one is URL-encoded."""

    def __init__(self, *identifiers: str) -> None:
        self._whole = {each.casefold() for each in identifiers}
        long = [each for each in identifiers if len(each) >= _SHORTEST]
        spellings = {way(each) for each in long for way in (str, _quoted, quote, quote_plus)}
        either = "|".join(re.escape(each.casefold()) for each in sorted(spellings, key=len, reverse=True))
        self._part = re.compile(f"(?<!{_INSIDE})(?:{either})(?!{_INSIDE})") if long else None

    def in_text(self, text: str) -> bool:
        """Whether the text is the identifier, or has it as a word of its own."""
        folded = text.casefold()
        return folded in self._whole or (self._part is not None and self._part.search(folded) is not None)

    def in_json(self, value: JsonValue) -> bool:
        """The same of any text in it, the names of members included."""
        waiting: list[JsonValue] = [value]
        while waiting:
            match waiting.pop():
                case str() as text:
                    if self.in_text(text):
                        return True
                case list() as items:
                    waiting.extend(items)
                case dict() as members:
                    waiting.extend(members)
                    waiting.extend(members.values())
                case _:
                    pass
        return False
