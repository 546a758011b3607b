"""Tokens of signals that a run waits for."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from models.ids import RunId, TokenId
from models.tenants import SessionScope


class Signals(Protocol):
    """Tokens of signals as a run's host opens and closes them. Each call can be repeated. Raises Unavailable."""

    async def open(
        self, scope: SessionScope, run_id: RunId, token_id: TokenId, name: str, expires_at: datetime | None
    ) -> None:
        """Make the token known, or set the end of its wait."""
        ...

    async def close(self, scope: SessionScope, token_id: TokenId) -> bool:
        """Refuse what comes from now on. True where the signal had come before."""
        ...

    async def credential(self, scope: SessionScope, token_id: TokenId) -> str:
        """What a caller sends as its bearer token: `TOKEN_ID:SECRET`."""
        ...

    def url(self, scope: SessionScope, token_id: TokenId) -> str:
        """Where it is sent."""
        ...
