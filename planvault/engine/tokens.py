"""Names of signals, and the tokens that stand for them outside."""

from __future__ import annotations

import hashlib
import re
from uuid import UUID

from models.ids import RunId, TokenId

MAX_NAME = 200
_RESERVED = re.compile(r"signal_(?P<what>token|url)_(?P<name>[A-Za-z0-9_]{1,100})")


def token_of(run_id: RunId, name: str) -> TokenId:
    """The signal's public id: the same whenever it is asked for, so that a plan can name it before it waits.

    No secret: who calls back proves itself with another value, which never enters the engine. UUID version 8.
    """
    digest = hashlib.sha256(b"planvault/signal/" + run_id.bytes + name.encode()).digest()[:16]
    number = int.from_bytes(digest, "big") & ~(0xF << 76) | (8 << 76)
    return TokenId(UUID(int=number & ~(0x3 << 62) | (0x2 << 62)))


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
