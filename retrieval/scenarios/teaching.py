"""What one run or one vote changes in the scenarios around it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from models.ids import ToolId
from planvault.storage.lessons import TaughtScenario, VoteToTeach
from retrieval.scenarios.lessons import OF_OUTCOME, OF_VOTE, Outcome
from retrieval.scenarios.rates import Tally

# Two prompts this near, answered by the same tools, are one intent.
SAME_INTENT: Final = 0.9


@dataclass(frozen=True, slots=True)
class Taught:
    """A scenario that the run had a part in: how much, and its tally after."""

    scenario: TaughtScenario
    share: float
    tally: Tally


def same_intent(near: Sequence[TaughtScenario], tools: frozenset[ToolId]) -> TaughtScenario | None:
    """The automatic scenario that a successful run with these tools supports, of those near its prompt."""
    return next(
        (each for each in near if not each.is_manual and each.share >= SAME_INTENT and each.tools == tools), None
    )


def concerned(
    near: Sequence[TaughtScenario], outcome: Outcome, tools: frozenset[ToolId], blamed: frozenset[ToolId]
) -> list[TaughtScenario]:
    """The scenarios near the prompt that the outcome speaks of.

    A success speaks for those that asked for nothing else; a failure against those that ask for what is blamed; what
    teaches nothing by itself may still be voted on, so it concerns those that had their tools in the plan.
    """
    if outcome is Outcome.SUCCESS:
        return [each for each in near if each.tools <= tools]
    return [each for each in near if each.tools & (blamed or tools)]


def after_outcome(
    scenario: TaughtScenario, share: float, outcome: Outcome, at: datetime, half_life: timedelta
) -> Taught:
    weight = OF_OUTCOME[outcome]
    tally = _tally(scenario).plus(share * weight.successes, share * weight.failures, at, half_life)
    return Taught(scenario, share, tally)


def after_vote(scenario: TaughtScenario, vote: VoteToTeach, half_life: timedelta) -> Taught:
    """With the vote, and without the one that it replaces: each at the time when it was said."""
    tally = _tally(scenario)
    if vote.taught is not None:
        old, said_at = OF_VOTE[vote.taught[0]], vote.taught[1]
        tally = tally.plus(-scenario.share * old.successes, -scenario.share * old.failures, said_at, half_life)
    new = OF_VOTE[vote.value]
    tally = tally.plus(scenario.share * new.successes, scenario.share * new.failures, vote.at, half_life)
    return Taught(scenario, scenario.share, tally)


def _tally(scenario: TaughtScenario) -> Tally:
    return Tally(scenario.successes, scenario.failures, scenario.counted_at)
