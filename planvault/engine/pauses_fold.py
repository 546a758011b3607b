"""What the record of waits changes in a run (`planvault.engine.waiting`, `signals` and `reauth` write it)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from models.ids import TokenId
from planvault.engine.copies import replace
from planvault.engine.pauses import OnTimeout, Reauth, SignalWait
from planvault.engine.state import RunState

Payload = Mapping[str, Any]  # of an event: JSON that `planvault.engine` itself wrote


def wait_begun(run: RunState, payload: Payload, at: datetime) -> RunState:
    """The plan comes to a wait. It counts as a call, so that a loop of waits ends as well."""
    run = replace(run, attempt=1, tool_calls=run.tool_calls + 1)
    match payload["kind"]:
        case "signal":
            wait = SignalWait(
                token_id=_token(payload),
                name=payload["name"],
                node_id=payload["nodeId"],
                expires_at=datetime.fromisoformat(payload["expiresAt"]),
                on_timeout=OnTimeout(payload["onTimeout"]),
            )
            return replace(run, signal=wait, used_signals=run.used_signals | {wait.token_id})
        case "timer":
            return replace(run, sleeps_until=datetime.fromisoformat(payload["until"]))
        case _:
            return run  # refused: its answer follows


def signal_kept(run: RunState, payload: Payload, at: datetime) -> RunState:
    """It came; whoever waits for it, now or later, gets it."""
    return replace(run, kept_signals={**run.kept_signals, _token(payload): payload["payload"]})


def signal_closed(run: RunState, payload: Payload) -> RunState:
    """The token's row was asked once the time was over. Where the signal had come, its command is on the way."""
    if run.signal is None or not payload["delivered"]:
        return run
    closed = SignalWait(
        run.signal.token_id,
        run.signal.name,
        run.signal.node_id,
        run.signal.expires_at,
        run.signal.on_timeout,
        closed=True,
    )
    return replace(run, signal=closed)


def reauth_of(run: RunState, tool: str, node_id: str, payload: Payload) -> Reauth:
    return Reauth(
        tool=tool,
        node_id=node_id,
        reason=payload["reason"],
        message=payload["message"],
        expires_at=datetime.fromisoformat(payload["expiresAt"]),
    )


def credentials_changed(run: RunState, payload: Payload, at: datetime) -> RunState:
    return replace(run, credentials_at=at)


def deadline_passed(run: RunState, payload: Payload, at: datetime) -> RunState:
    return replace(run, overdue=True, retry_at=None)


def _token(payload: Payload) -> TokenId:
    return TokenId(UUID(str(payload["tokenId"])))
