"""Signals on the wire."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import Field

from planvault.storage.signals import OpenToken
from serve_apps.schemas.base import Reply


class SignalOut(Reply):
    token_id: UUID
    run_id: UUID
    name: str
    callback_path: str = Field(description="POST the signal's JSON object here, on the host of this API.")
    bearer_token: str = Field(description="For `Authorization: Bearer …` at the callback, and for nothing else.")
    expires_at: datetime | None = Field(description="null: the token was given away, the wait has not begun.")
    created_at: datetime

    @classmethod
    def of(cls, token: OpenToken, path: str) -> "SignalOut":
        return cls(
            token_id=token.token_id,
            run_id=token.run_id,
            name=token.name,
            callback_path=path,
            bearer_token=f"{token.token_id}:{token.secret}",
            expires_at=token.expires_at,
            created_at=token.created_at,
        )


class CallbackAnswer(Reply):
    code: Literal["SIGNAL_ALREADY_DELIVERED"] | None = Field(default=None, description="Absent where it was new.")
