"""The question that a run's people answer by vote."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from models.base import JsonObject
from planvault.policy.voting import Ballot


class QuestionKind(StrEnum):
    PLAN = "plan"
    TOOL = "tool"


@dataclass(frozen=True)  # without slots: planvault.engine.copies
class Question:
    """`bound_to` is the hash of what was shown: an approval is for exactly that (invariant 6).

    `shown` is what the run's row says of it while it is open; votes and ballot are added there.
    """

    kind: QuestionKind
    bound_to: str
    correlation_id: str = ""  # of a tool's question
    ballot: Ballot = field(default_factory=Ballot)
    shown: JsonObject = field(default_factory=dict)

    def pending(self) -> JsonObject:
        """The row's `pending`. `ballot` is for the API, which asks it whom an answer may come from."""
        return {
            "kind": self.kind.value,
            **self.shown,
            "quorum": self.ballot.quorum,
            "groups": list(self.ballot.groups),
            "votes": [{"actor": vote.actor} | ({"proven": True} if vote.proven else {}) for vote in self.ballot.votes],
            "ballot": self.ballot.model_dump(mode="json"),
        }
