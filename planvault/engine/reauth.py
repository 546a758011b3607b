"""A call that is not let in: a secret is missing, or the service refused the one it got. Somebody has to mend that."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from models.runs import RunStatus
from models.tools import ToolFailed
from planvault.engine.recorder import Recorder

MISSING, REFUSED = "credential_missing", "credential_refused"


def reauth_verdict(rec: Recorder, outcome: ToolFailed) -> dict[str, Any]:
    """Wait for a credential; call again at once where one was changed while this call was on its way."""
    run = rec.run
    if run.settings is None:
        raise AssertionError("a run executes under recorded settings")
    if run.credentials_at is not None:  # in the order of the record: a clock that was set back would say so for ever
        return {"next": "retry", "retryAt": rec.now.isoformat()}
    expires = rec.now + timedelta(seconds=run.settings.limits.reauth_expires_s)
    return {
        "next": "reauth",
        "reason": MISSING if outcome.code == "SECRET_MISSING" else REFUSED,
        "message": outcome.message,
        "expiresAt": expires.isoformat(),
    }


def ask_credential(rec: Recorder) -> None:
    asked = rec.run.reauth
    if asked is None:
        raise AssertionError("nothing keeps the call out")
    rec.status(
        RunStatus.AWAITING_REAUTH,
        pending={
            "kind": "reauth",
            "tool": asked.tool,
            "nodeId": asked.node_id,
            "reason": asked.reason,
            "message": asked.message,
        },
        reason=asked.reason,
        expires_at=asked.expires_at,
    )
