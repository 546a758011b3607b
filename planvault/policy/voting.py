"""Who may answer a question, and when it is answered: groups, quorum, no self-approval. Pure.

The API asks before it takes an answer, the engine decides when it applies it: both with these rules.
"""

from __future__ import annotations

import unicodedata
from enum import StrEnum
from typing import NamedTuple

from models.base import Frozen


class Voter(NamedTuple):
    """Who answers: the person named in `X-Operator-Id`, empty where none was, and the label for the record."""

    operator: str
    actor: str


class Requirement(Frozen):
    """What one rule demands of the approvals. `approvers`: the operators of its groups; None: anybody."""

    rule: str
    quorum: int = 1
    groups: tuple[str, ...] = ()
    approvers: tuple[str, ...] | None = None


class Vote(Frozen):
    voter: str  # as `identity` spells it
    actor: str


class Ballot(Frozen):
    """A question's requirements and the approvals so far. `requested_by`: whose prompt it is, as an identity."""

    requirements: tuple[Requirement, ...] = (Requirement(rule=""),)
    votes: tuple[Vote, ...] = ()
    requested_by: str = ""
    forbid_self: bool = False

    @property
    def quorum(self) -> int:
        """How many people at least, by the most demanding rule."""
        return max((each.quorum for each in self.requirements), default=1)

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(sorted({group for each in self.requirements for group in each.groups}))

    @property
    def needs_names(self) -> bool:
        """Whether it matters which person answers, so that a key alone is not enough."""
        return self.forbid_self or any(each.quorum > 1 or each.approvers is not None for each in self.requirements)

    def with_vote(self, voter: Voter) -> Ballot:
        return self.model_copy(update={"votes": (*self.votes, Vote(voter=identity(voter), actor=voter.actor))})

    @property
    def is_carried(self) -> bool:
        """Whether every rule has the approvals that it demands; one person counts for each rule that names them."""
        return all(self._given(each) >= each.quorum for each in self.requirements)

    def _given(self, requirement: Requirement) -> int:
        return len({vote.voter for vote in self.votes if _counts(vote.voter, requirement)})


class RefusalCode(StrEnum):
    OPERATOR_REQUIRED = "OPERATOR_REQUIRED"
    SELF_APPROVAL = "SELF_APPROVAL"
    NOT_AN_APPROVER = "NOT_AN_APPROVER"
    ALREADY_VOTED = "ALREADY_VOTED"


class Refusal(NamedTuple):
    code: RefusalCode
    why: str


def identity(voter: Voter) -> str:
    """One spelling a person: blanks and case do not make another one."""
    return person(voter.operator or voter.actor)


def person(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def approval_refused(ballot: Ballot, voter: Voter) -> Refusal | None:
    """Why this approval does not count; None: it does."""
    who = identity(voter)
    if ballot.needs_names and not voter.operator:
        return Refusal(RefusalCode.OPERATOR_REQUIRED, "policy asks who approves: name the person with X-Operator-Id")
    if ballot.forbid_self and who == ballot.requested_by:
        return Refusal(RefusalCode.SELF_APPROVAL, "whoever sent the prompt may not approve what its run asks")
    if not any(_counts(who, each) for each in ballot.requirements):
        return Refusal(RefusalCode.NOT_AN_APPROVER, f"only members of {_names(ballot)} may approve this")
    if any(vote.voter == who for vote in ballot.votes):
        return Refusal(RefusalCode.ALREADY_VOTED, "this person has approved already, another one is needed")
    return None


def rejection_refused(ballot: Ballot, voter: Voter) -> Refusal | None:
    """Why this rejection does not count. Whoever sent the prompt may always take it back."""
    if all(each.approvers is None for each in ballot.requirements):
        return None
    if not voter.operator:
        return Refusal(RefusalCode.OPERATOR_REQUIRED, "policy asks who rejects: name the person with X-Operator-Id")
    who = identity(voter)
    if who == ballot.requested_by or any(_counts(who, each) for each in ballot.requirements):
        return None
    return Refusal(RefusalCode.NOT_AN_APPROVER, f"only members of {_names(ballot)} may reject this")


def _counts(who: str, requirement: Requirement) -> bool:
    return requirement.approvers is None or who in requirement.approvers


def _names(ballot: Ballot) -> str:
    return ", ".join(ballot.groups) or "the named groups"
