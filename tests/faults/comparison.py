"""A disturbed session's history beside the undisturbed one's, modulo what docs/recovery.md says that recovery adds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from planvault.storage.history import HistoryEvent

_VARYING = (
    (re.compile(r"\bcase\d{4}\b"), "<case>"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{32}\b"), "<hash>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)"), "<time>"),
)
_OF_THE_ATTEMPT = frozenset({"attempt", "durationMs", "timingsMs", "size"})  # an operator's answer has no size


def comparable(history: Iterable[HistoryEvent]) -> list[tuple[str, Any]]:
    """Types and payloads without ids, times, attempts, and what recovery and retries add."""
    return [(event.type.value, _plain(event.payload)) for event in _without_recovery(history)]


def _without_recovery(history: Iterable[HistoryEvent]) -> Iterator[HistoryEvent]:
    """Leaves out: attempts of a step behind its first, ends of attempts that were not the step's, the operator's round.

    An operator's round is the status needs_manual_recovery and the executing that follows it.
    """
    begun: set[str] = set()
    in_recovery = False
    for event in history:
        kind, payload = event.type.value, event.payload
        if kind == "tool_start":
            node = str(payload["nodeId"])
            if node in begun:
                continue
            begun.add(node)
        elif kind == "tool_end":
            if payload.get("next") in {"retry", "recover"}:
                continue
            begun.discard(str(payload["nodeId"]))
        elif kind == "run_status":
            if payload["status"] == "needs_manual_recovery":
                in_recovery = True
                continue
            if in_recovery and payload["status"] == "executing":
                in_recovery = False
                continue
        yield event


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if key not in _OF_THE_ATTEMPT}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        for pattern, name in _VARYING:
            value = pattern.sub(name, value)
    return value
