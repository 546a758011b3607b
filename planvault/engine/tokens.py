"""Names of signals, and the tokens that stand for them outside."""

from __future__ import annotations

import hashlib
from uuid import UUID

from models.ids import RunId, TokenId

MAX_NAME = 200


def token_of(run_id: RunId, name: str) -> TokenId:
    """The signal's public id: the same whenever it is asked for, so that a plan can name it before it waits.

    No secret: who calls back proves itself with another value, which never enters the engine. UUID version 8.
    """
    digest = hashlib.sha256(b"planvault/signal/" + run_id.bytes + name.encode()).digest()[:16]
    number = int.from_bytes(digest, "big") & ~(0xF << 76) | (8 << 76)
    return TokenId(UUID(int=number & ~(0x3 << 62) | (0x2 << 62)))
