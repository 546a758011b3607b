"""Several decisions of one session, made one after the other and written as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from models.ids import RunId
from planvault.engine.recorder import Decision
from planvault.ports import RunRow, RunWake


def merged(decisions: Sequence[Decision]) -> Decision:
    """All of them, each made on the state of the one before. A run has one row: its newest."""
    if len(decisions) == 1:
        return decisions[0]
    rows: dict[RunId, RunRow] = {}
    wakes: dict[RunId, RunWake] = {}
    for decision in decisions:
        for row in decision.runs:
            rows[row.run_id] = row
            wakes.pop(row.run_id, None)
        for wake in decision.wakes:
            if wake.run_id in rows:
                rows[wake.run_id] = replace(rows[wake.run_id], wake_at=wake.at)
            else:
                wakes[wake.run_id] = wake
    return Decision(
        state=decisions[-1].state,
        events=tuple(event for decision in decisions for event in decision.events),
        consumed=tuple(command for decision in decisions for command in decision.consumed),
        runs=tuple(rows.values()),
        wakes=tuple(wakes.values()),
        blobs=tuple(blob for decision in decisions for blob in decision.blobs),
        audits=tuple(audit for decision in decisions for audit in decision.audits),
    )
