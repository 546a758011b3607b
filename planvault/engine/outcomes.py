"""Outcomes of calls as the record holds them, and the value that they give to a plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from models.results import Bound, Stored
from models.tools import ToolFailed, ToolSucceeded
from models.values import Value


def dump(outcome: ToolSucceeded | ToolFailed) -> dict[str, Any]:
    """The outcome as JSON. A success is spelled by hand: its value is JSON already and can be large."""
    if isinstance(outcome, ToolFailed):
        return outcome.model_dump(mode="json")
    return {
        "ok": True,
        "value": outcome.value,
        **({} if outcome.stored is None else {"stored": outcome.stored.model_dump(mode="json")}),
        "status": outcome.status,
        "size": outcome.size,
        "duration_ms": outcome.duration_ms,
    }


def size_of(outcome: ToolSucceeded) -> dict[str, Any]:
    """What history says of a result: its size, and where it lies when it is too large for the record."""
    if outcome.stored is None:
        return {"size": outcome.size}
    return {
        "size": outcome.size,
        "blobId": str(outcome.stored.blob_id),
        "shape": outcome.stored.shape,
    }


def load(result: Mapping[str, Any]) -> ToolSucceeded | ToolFailed:
    """A success is taken as it was written: validating a large value again would hold the host up."""
    if not result["ok"]:
        return ToolFailed.model_validate(result)
    outcome = ToolSucceeded.model_construct(**result)
    if outcome.stored is None:
        return outcome
    return outcome.model_copy(update={"stored": Stored.model_validate(outcome.stored)})


def value_of(outcome: ToolSucceeded | ToolFailed) -> Bound:
    """What the call's target holds after it: null for a failure that the plan tolerates."""
    if isinstance(outcome, ToolSucceeded) and outcome.stored is not None:
        return outcome.stored
    # Every JSON value is a Value; the type checker cannot see it through list's invariance.
    return cast("Value", outcome.value) if isinstance(outcome, ToolSucceeded) else None
