"""Prompts for later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from models.base import JsonObject
from models.ids import JobId
from models.schedules import JobTarget
from models.tenants import SessionScope


@dataclass(frozen=True, slots=True)
class ScheduleOrder:
    """A prompt for later, as a plan asks for it: at `run_at`, or `delay_s` seconds from now."""

    key: str  # of the step: the same order twice makes one job
    prompt: str
    target: JobTarget = JobTarget.NEW_SESSION_PROMPT  # resume_session: the session that the plan runs in
    run_at: datetime | None = None
    delay_s: float | None = None
    context_vars: JsonObject = field(default_factory=dict)
    name: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict)  # name → value, for the new session
    asked_by: str = ""  # who sent the prompt of the plan that asks


@dataclass(frozen=True, slots=True)
class Scheduled:
    job_id: JobId
    run_at: datetime


class Scheduling(Protocol):
    async def schedule(self, scope: SessionScope, order: ScheduleOrder) -> Scheduled:
        """The job of this order, made now or when the same order came before.

        Raises InvalidInput that names every fault, Unavailable where nobody knows whether the job was made.
        """
        ...
