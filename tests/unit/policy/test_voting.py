"""Who counts in a vote, claimed or signed in: rules that hold for every order in which people and keys answer."""

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from planvault.policy.voting import (
    Ballot,
    RefusalCode,
    Requirement,
    Vote,
    Voter,
    approval_refused,
    identity,
    rejection_refused,
)

NAMES = ("ada@example.com", "bob@example.com", "eve@example.com")
SPELLINGS = st.sampled_from([spelt for name in NAMES for spelt in (name, name.upper(), f" {name} ")])
KEYS = st.builds(Voter, st.just(""), st.sampled_from(["key:web", "service:ci", "admin-token"]))
CLAIMS = st.builds(lambda name: Voter(name, f"{name} (key:web)"), SPELLINGS)
PEOPLE = st.builds(lambda name: Voter(name, name, proven=True), SPELLINGS)
VOTERS = st.lists(st.one_of(KEYS, CLAIMS, PEOPLE), max_size=12)
REQUIREMENTS = st.lists(
    st.builds(
        Requirement,
        rule=st.just("r"),
        quorum=st.integers(1, 3),
        groups=st.just(("finance",)),
        approvers=st.one_of(st.none(), st.lists(st.sampled_from(NAMES), unique=True).map(tuple)),
    ),
    min_size=1,
    max_size=2,
).map(tuple)
BALLOTS = st.builds(
    Ballot,
    requirements=REQUIREMENTS,
    requested_by=st.sampled_from(["", *NAMES]),
    forbid_self=st.booleans(),
    signed_in_only=st.booleans(),
)

few = settings(max_examples=50, deadline=None)
ADA = Voter("ada@example.com", "ada@example.com", proven=True)
SAYS_ADA = Voter("ADA@example.com", "ADA@example.com (key:web)")
BOB = Voter("bob@example.com", "bob@example.com", proven=True)


def after(ballot: Ballot, voters: Iterable[Voter]) -> Ballot:
    for voter in voters:
        if approval_refused(ballot, voter) is None:
            ballot = ballot.with_vote(voter)
    return ballot


def _answers(ballot: Ballot, voters: Iterable[Voter], of: str) -> list[RefusalCode | None]:
    """What each signed-in approval of one person meets."""
    found: list[RefusalCode | None] = []
    for voter in voters:
        refused = approval_refused(ballot, voter)
        if voter.proven and identity(voter) == of:
            found.append(None if refused is None else refused.code)
        if refused is None:
            ballot = ballot.with_vote(voter)
    return found


@few
@given(BALLOTS, VOTERS)
def test_one_spelling_has_one_vote_however_often_it_is_claimed_or_signed_in(
    ballot: Ballot, voters: list[Voter]
) -> None:
    voted = after(ballot, voters)
    people = [vote.voter for vote in voted.votes]
    assert len(set(people)) == len(people)
    if voted.is_carried:
        for each in ballot.requirements:
            assert len([who for who in people if each.approvers is None or who in each.approvers]) >= each.quorum


@few
@given(BALLOTS, VOTERS)
def test_a_claim_takes_nothing_from_whom_it_names(ballot: Ballot, voters: list[Voter]) -> None:
    """Every signed-in person meets the same answers as if no key had ever spoken in their name."""
    for name in NAMES:
        without = [voter for voter in voters if voter.proven or identity(voter) != name]
        assert _answers(ballot, voters, name) == _answers(ballot, without, name)


@few
@given(BALLOTS, VOTERS)
def test_whoever_asked_counts_neither_claimed_nor_signed_in(ballot: Ballot, voters: list[Voter]) -> None:
    strict = ballot.model_copy(update={"forbid_self": True, "requested_by": NAMES[0]})
    assert NAMES[0] not in {vote.voter for vote in after(strict, voters).votes}


@few
@given(BALLOTS, VOTERS)
def test_where_only_people_who_signed_in_count_no_claim_changes_anything(ballot: Ballot, voters: list[Voter]) -> None:
    strict = ballot.model_copy(update={"signed_in_only": True})
    proven = [voter for voter in voters if voter.proven]
    assert after(strict, voters) == after(strict, proven)
    for voter in voters:
        refused = approval_refused(strict, voter)
        if not voter.proven:
            assert refused is not None
            assert refused.code is RefusalCode.OPERATOR_REQUIRED
            assert "sign-in at the issuer" in refused.why


@few
@given(BALLOTS, VOTERS)
def test_being_signed_in_makes_no_two_of_one_and_no_majority_of_none(ballot: Ballot, voters: list[Voter]) -> None:
    """Where claims count, it is carried by the same people as if nobody could tell who was signed in."""
    open_to_all = ballot.model_copy(update={"signed_in_only": False})
    unknown = [voter._replace(proven=False) for voter in voters]
    told, untold = after(open_to_all, voters), after(open_to_all, unknown)
    assert {vote.voter for vote in told.votes} == {vote.voter for vote in untold.votes}
    assert told.is_carried == untold.is_carried


@few
@given(BALLOTS, VOTERS)
def test_a_vote_that_was_proven_stays_proven(ballot: Ballot, voters: list[Voter]) -> None:
    proven: set[str] = set()
    for voter in voters:
        ballot = after(ballot, [voter])
        now = {vote.voter for vote in ballot.votes if vote.proven}
        assert proven <= now
        proven = now


@few
@given(BALLOTS, VOTERS)
def test_where_only_people_who_signed_in_count_a_claim_is_no_member_when_it_rejects(
    ballot: Ballot, voters: list[Voter]
) -> None:
    strict = ballot.model_copy(update={"signed_in_only": True})
    grouped = any(each.approvers is not None for each in ballot.requirements)
    for voter in voters:
        if voter.proven or not grouped:
            continue
        refused = rejection_refused(strict, voter)
        assert refused is not None
        assert refused.code is RefusalCode.OPERATOR_REQUIRED


def test_who_sent_the_prompt_takes_it_back_and_in_their_name_a_key_does_only_where_claims_count() -> None:
    finance = Requirement(rule="r", groups=("finance",), approvers=("bob@example.com",))
    ballot = Ballot(requirements=(finance,), requested_by="ada@example.com")
    strict = ballot.model_copy(update={"signed_in_only": True})
    assert rejection_refused(ballot, ADA) is None
    assert rejection_refused(ballot, SAYS_ADA) is None
    assert rejection_refused(strict, ADA) is None
    refused = rejection_refused(strict, SAYS_ADA)
    assert refused is not None
    assert refused.code is RefusalCode.OPERATOR_REQUIRED
    assert "sign-in at the issuer" in refused.why


def test_whoever_is_named_votes_although_a_key_has_voted_in_their_name() -> None:
    ballot = after(Ballot(requirements=(Requirement(rule="r", quorum=2),)), [SAYS_ADA])
    assert approval_refused(ballot, ADA) is None
    ballot = ballot.with_vote(ADA)
    assert [(vote.actor, vote.proven) for vote in ballot.votes] == [("ada@example.com", True)]
    assert not ballot.is_carried
    for again in (ADA, SAYS_ADA):
        refused = approval_refused(ballot, again)
        assert refused is not None
        assert refused.code is RefusalCode.ALREADY_VOTED
    assert after(ballot, [BOB]).is_carried


def test_a_ballot_that_holds_a_claim_is_not_carried_by_it_where_only_people_who_signed_in_count() -> None:
    """Nothing puts one there: it is counted as what it is all the same."""
    claimed = Ballot(votes=(Vote(voter="ada@example.com", actor="key:web"),), signed_in_only=True)
    assert not claimed.is_carried
    assert after(claimed, [ADA]).is_carried


def test_a_ballot_from_before_reads_as_claimed_and_is_written_as_it_was() -> None:
    before = {
        "requirements": [{"rule": "r", "quorum": 2, "groups": [], "approvers": None}],
        "votes": [{"voter": "ada@example.com", "actor": "ada@example.com"}],
        "requested_by": "eve@example.com",
        "forbid_self": True,
    }
    ballot = Ballot.model_validate(before)
    assert not ballot.signed_in_only
    assert not ballot.votes[0].proven
    assert ballot.model_dump(mode="json") == before
