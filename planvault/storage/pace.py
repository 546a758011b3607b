"""How fast bulk work may go beside people's."""

from __future__ import annotations

from collections.abc import Hashable


class Pace:
    """Rests after each page as long as it took, and longer the slower it went: what slows it down is people at work.

    `rest`: in times of what the page took, while it goes as fast as any did. `most`: how much longer at most, so that
    the work ends however busy the machine is for ever.
    """

    def __init__(self, rest: float, most: float = 3.0) -> None:
        self._rest = rest
        self._most = most
        self._fastest: dict[Hashable, float] = {}

    def rest(self, kind: Hashable, took_s: float, items: int) -> float:
        """Seconds to rest after a page of so many items. Only pages of one `kind` are compared."""
        each = took_s / items
        fastest = self._fastest[kind] = min(each, self._fastest.get(kind, each))
        slowed = each / fastest if fastest else 1.0
        return self._rest * took_s * min(slowed, self._most)
