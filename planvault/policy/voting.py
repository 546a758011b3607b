"""Who may answer a question, and when it is answered: groups, quorum, no self-approval. Pure.

The API asks before it takes an answer, the engine decides when it applies it: both with these rules.
"""

from __future__ import annotations

import unicodedata
from enum import StrEnum
from typing import NamedTuple

from pydantic import Field

from models.base import Frozen


class Voter(NamedTuple):
    """Who answers: the person, empty where none was named, and the label for the record.

    `proven`: an issuer has signed the person in. Otherwise the holder of a key names them in `X-Operator-Id`: a claim.
    One spelling is one person, claimed or proven: nobody becomes two by asking or voting both ways. The two are told
    apart only where a claim would take something from whom it names (`approval_refused`, `Ballot.having`).
    """

    operator: str
    actor: str
    proven: bool = False


class Requirement(Frozen):
    """What one rule demands of the approvals. `approvers`: the operators of its groups; None: anybody."""

    rule: str
    quorum: int = 1
    groups: tuple[str, ...] = ()
    approvers: tuple[str, ...] | None = None


class Vote(Frozen):
    voter: str  # as `identity` spells it
    actor: str
    proven: bool = Field(default=False, exclude_if=lambda proven: not proven)  # told only where it is so


class Ballot(Frozen):
    """A question's requirements and the approvals so far. `requested_by`: whose prompt it is, as an identity."""

    requirements: tuple[Requirement, ...] = (Requirement(rule=""),)
    votes: tuple[Vote, ...] = ()
    requested_by: str = ""
    forbid_self: bool = False
    signed_in_only: bool = Field(default=False, exclude_if=lambda only: not only)  # claims count for nobody

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
        return self.having(Vote(voter=identity(voter), actor=voter.actor, proven=voter.proven))

    def having(self, vote: Vote) -> Ballot:
        """With the vote, which stands in place of an earlier one of the same person: that was a claim."""
        others = (each for each in self.votes if each.voter != vote.voter)
        return self.model_copy(update={"votes": (*others, vote)})

    @property
    def is_carried(self) -> bool:
        """Whether every rule has the approvals that it demands; one person counts for each rule that names them."""
        return all(self._given(each) >= each.quorum for each in self.requirements)

    def _given(self, requirement: Requirement) -> int:
        counted = {vote.voter for vote in self.votes if vote.proven or not self.signed_in_only}
        return sum(_counts(voter, requirement) for voter in counted)


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
    if ballot.signed_in_only and not voter.proven:
        return Refusal(RefusalCode.OPERATOR_REQUIRED, _sign_in("approve"))
    if ballot.needs_names and not voter.operator:
        return Refusal(RefusalCode.OPERATOR_REQUIRED, "policy asks who approves: name the person with X-Operator-Id")
    if ballot.forbid_self and who == ballot.requested_by:
        return Refusal(RefusalCode.SELF_APPROVAL, "whoever sent the prompt may not approve what its run asks")
    if not any(_counts(who, each) for each in ballot.requirements):
        return Refusal(RefusalCode.NOT_AN_APPROVER, f"only members of {_names(ballot)} may approve this")
    if any(vote.voter == who and (vote.proven or not voter.proven) for vote in ballot.votes):
        return Refusal(RefusalCode.ALREADY_VOTED, "this person has approved already, another one is needed")
    return None


def rejection_refused(ballot: Ballot, voter: Voter) -> Refusal | None:
    """Why this rejection does not count; None: it does. Whoever sent the prompt may always take it back: where claims
    count for nobody, once they have signed in."""
    if all(each.approvers is None for each in ballot.requirements):
        return None
    who = identity(voter)
    if ballot.signed_in_only and not voter.proven:
        return Refusal(RefusalCode.OPERATOR_REQUIRED, _sign_in("reject"))
    if voter.operator and who == ballot.requested_by:
        return None
    if not voter.operator:
        return Refusal(RefusalCode.OPERATOR_REQUIRED, "policy asks who rejects: name the person with X-Operator-Id")
    if any(_counts(who, each) for each in ballot.requirements):
        return None
    return Refusal(RefusalCode.NOT_AN_APPROVER, f"only members of {_names(ballot)} may reject this")


def _counts(who: str, requirement: Requirement) -> bool:
    return requirement.approvers is None or who in requirement.approvers


def _sign_in(what: str) -> str:
    return (
        f"policy lets only people {what} who have signed in: send the token of your sign-in at the issuer in place of "
        "the key, which only claims a name"
    )


def _names(ballot: Ballot) -> str:
    return ", ".join(ballot.groups) or "the named groups"
