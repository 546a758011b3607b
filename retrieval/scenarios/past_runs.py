"""The history of ended runs, read for what they teach: newest first, a session once, never all of a long one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from models.ids import RunId
from models.tenants import SessionScope
from planvault.storage.history import HistoryEvent, HistoryReader
from planvault.storage.lessons import EndedRun
from retrieval.scenarios.lessons import TELLING, Lesson, lesson_of, prompt_of

_PAGE: Final = 500
# Of one session, looked at for one batch. A run with a longer history than this teaches nothing.
_MOST_EVENTS: Final = 10_000


@dataclass(slots=True)
class _Found:
    events: list[HistoryEvent] = field(default_factory=list)  # newest first
    prompt: str | None = None


async def lessons_of(
    history: HistoryReader, scope: SessionScope, runs: Sequence[EndedRun]
) -> dict[RunId, Lesson | None]:
    """What each of the session's runs teaches. Raises what the history raises where a run cannot be read."""
    found: dict[RunId, _Found] = defaultdict(_Found)
    by_run = {str(run.id): run.id for run in runs}
    by_message = {str(run.message_id): run.id for run in runs if run.message_id is not None}
    missing = {run.id for run in runs}
    before: int | None = None
    looked_at = 0
    while missing and looked_at < _MOST_EVENTS:
        page = await history.newest(scope, before, _PAGE)
        if not page:
            break
        before, looked_at = page[0].seq, looked_at + len(page)
        for event in reversed(page):
            if event.type in TELLING and event.run_id is not None and str(event.run_id) in by_run:
                found[event.run_id].events.append(event)
            said = prompt_of(event)
            run_id = None if said is None else by_run.get(said[0]) or by_message.get(said[1])
            if said is not None and run_id is not None:
                found[run_id].prompt = said[2]
                missing.discard(run_id)
    return {run.id: lesson_of(run.status, found[run.id].prompt, found[run.id].events[::-1]) for run in runs}
