"""Handles of signals in plans: names of secrets that the platform reserves."""

from __future__ import annotations

import re

_RESERVED = re.compile(r"signal_(?P<what>token|url)_(?P<name>[A-Za-z0-9_]{1,100})")


class SignalHandle:
    """`{{secrets.signal_token_NAME}}` and `{{secrets.signal_url_NAME}}`: bound when a call is sent, like any secret."""

    __slots__ = ("is_url", "name")

    def __init__(self, name: str, *, is_url: bool) -> None:
        self.name = name
        self.is_url = is_url

    @classmethod
    def read(cls, secret: str) -> SignalHandle | None:
        """None for the name of an ordinary secret."""
        found = _RESERVED.fullmatch(secret)
        return None if found is None else cls(found["name"], is_url=found["what"] == "url")
