"""Feedback: what people say of a run that has ended. Who said it is kept as a keyed hash, the comment encrypted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from models.ids import RunId
from models.tenants import SessionScope
from planvault.errors import AlreadyVoted
from planvault.ports import Ids, Keyring, Seal
from planvault.storage.pool import Connection
from planvault.storage.queries import load
from planvault.storage.sessions import Pseudonym

_SQL = load("planvault.storage", "sql/feedback.sql")


class Vote(StrEnum):
    LIKE = "like"
    DISLIKE = "dislike"


@dataclass(frozen=True, slots=True)
class FeedbackRecord:
    run_id: RunId
    value: Vote
    created_at: datetime
    updated_at: datetime  # when the value was said last


def comment_seal(scope: SessionScope, run_id: RunId, voter: bytes) -> Seal:
    return Seal(f"session:{scope.session_id}", "feedback", f"{run_id}:{voter.hex()}", "comment")


class Feedback:
    def __init__(self, keyring: Keyring, pseudonym: Pseudonym, ids: Ids) -> None:
        self._keyring = keyring
        self._pseudonym = pseudonym
        self._ids = ids

    async def give(
        self,
        connection: Connection,
        scope: SessionScope,
        run_id: RunId,
        voter: str,
        value: Vote,
        comment: str,
        at: datetime,
        *,
        proven: bool = False,
    ) -> FeedbackRecord:
        """A vote of `voter`, in place of the one before. The caller has found the run in its session, and ended.

        `proven`: an issuer has signed the voter in. Raises AlreadyVoted for a claim where who is named has voted so.
        """
        who = await self._pseudonym(scope.org_id, f"voter:{voter}")
        sealed = None
        if comment:
            cipher = await self._keyring.session_cipher(scope)
            sealed = cipher.seal(comment.encode(), comment_seal(scope, run_id, who))
        place = (scope.org_id, scope.project_id, scope.session_id, run_id)
        row = await connection.fetchrow(_SQL["vote"], *place, self._ids.new(), who, value.value, sealed, at, proven)
        if row is None:
            raise AlreadyVoted("Who is named has voted signed in; what a key claims does not replace it.")
        return FeedbackRecord(run_id, Vote(row["value"]), row["created_at"], row["updated_at"])
