"""What a run can stand still for, beside questions to people: signals, timers, credentials."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from models.ids import RunId, TokenId

# Calls that the engine itself answers: nothing goes out, and nothing is held in memory meanwhile.
WAIT_FOR_SIGNAL, SLEEP = "wait_for_signal", "sleep"
ENGINE_TOOLS = frozenset({WAIT_FOR_SIGNAL, SLEEP})


class OnTimeout(StrEnum):
    """What follows when no signal comes in time."""

    FAIL = "fail"
    CONTINUE = "continue"  # the wait's result is null


@dataclass(frozen=True, slots=True)
class SignalWait:
    """A signal that the run waits for, or is about to. `closing`: its time is over, and the token says whether it came.

    (A signal is delivered in one transaction with its token's row; only that row can say which came first.)
    """

    token_id: TokenId
    name: str
    node_id: str
    expires_at: datetime
    on_timeout: OnTimeout
    closed: bool = False  # the token's row was asked once more: the signal did come, and will be told


@dataclass(frozen=True, slots=True)
class Reauth:
    """A call that the service, or nobody's secret, lets through: somebody has to mend a credential."""

    tool: str
    node_id: str
    reason: str  # credential_missing | credential_refused
    message: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class OpenSignal:
    """Make the token known to the callback endpoint; doing it again changes nothing."""

    effect_id: str
    run_id: RunId
    wait: SignalWait


@dataclass(frozen=True, slots=True)
class CloseSignal:
    """The time is over: refuse whatever comes from now on, and say whether the signal had come before."""

    effect_id: str
    run_id: RunId
    token_id: TokenId


@dataclass(frozen=True, slots=True)
class SignalOpened:
    pass


@dataclass(frozen=True, slots=True)
class SignalClosed:
    delivered: bool  # it came in time: its command is in the inbox
