"""What may be scheduled, and when it is due for the first time. Pure: the time comes in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from difflib import get_close_matches

from models.base import JsonObject
from models.ids import SessionId
from models.policies import SessionSettings
from models.schedules import Frequency, JobTarget, Recurrence
from planvault.errors import FieldError, InvalidInput
from planvault.scheduling.recurrence import next_after
from planvault.scheduling.zones import zone_names

_DEFAULTS = SessionSettings()


@dataclass(frozen=True, slots=True)
class Timing:
    """Exactly one of the three."""

    run_at: datetime | None = None
    delay_s: float | None = None
    rule: Recurrence | None = None


@dataclass(frozen=True, slots=True)
class JobOrder:
    """A job as it is asked for. What stands from `context_vars` to `external_user_hmac` is for a session to open."""

    target: JobTarget
    prompt: str
    timing: Timing
    session_id: SessionId | None = None  # to resume
    name: str = ""
    secrets: dict[str, str] = field(default_factory=dict)
    context_vars: JsonObject = field(default_factory=dict)
    metadata: JsonObject = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    settings: SessionSettings = _DEFAULTS
    external_user_hmac: bytes | None = None
    created_by: str = ""
    operator: str = ""
    proven: bool = False  # an issuer has signed the operator in; a plan's order is nobody's word
    by_plan: bool = False
    idempotency_key: str | None = None


def first_due(order: JobOrder, now: datetime, horizon_days: int) -> datetime:
    """When the job is due for the first time. Raises InvalidInput that names every fault."""
    timing = order.timing
    faults = [*_target_faults(order), *_timing_faults(timing, now, timedelta(days=horizon_days))]
    if faults:
        raise InvalidInput("The job cannot be scheduled; `errors` names every fault.", errors=faults)
    if timing.run_at is not None:
        return timing.run_at
    if timing.delay_s is not None:
        return now + timedelta(seconds=timing.delay_s)
    assert timing.rule is not None
    due = next_after(timing.rule, now)
    if due is None:
        fault = FieldError("/recurrence/endAt", "the job would never occur: no occurrence lies between now and then")
        raise InvalidInput("The job cannot be scheduled; `errors` names every fault.", errors=[fault])
    return due


def _target_faults(order: JobOrder) -> list[FieldError]:
    if order.target is JobTarget.NEW_SESSION_PROMPT:
        if order.session_id is None:
            return []
        return [FieldError("/sessionId", "only resume_session names a session; new_session_prompt opens one")]
    faults = (
        [FieldError("/sessionId", "resume_session needs the session to resume")] if order.session_id is None else []
    )
    given = {
        "/contextVars": order.context_vars,
        "/metadata": order.metadata,
        "/tags": order.tags,
        "/externalUserId": order.external_user_hmac,
        "/settings": order.settings != _DEFAULTS,
    }
    return faults + [FieldError(pointer, "the session has its own already") for pointer, what in given.items() if what]


def _timing_faults(timing: Timing, now: datetime, horizon: timedelta) -> list[FieldError]:
    if sum(one is not None for one in (timing.run_at, timing.delay_s, timing.rule)) != 1:
        return [FieldError("", "give exactly one of runAt, delaySeconds and recurrence")]
    if timing.run_at is not None:
        return _instant_faults("/runAt", timing.run_at, now, horizon)
    if timing.delay_s is not None:
        if timing.delay_s < 0:
            return [FieldError("/delaySeconds", "must not be negative")]
        return [_too_far("/delaySeconds", horizon)] if timing.delay_s > horizon.total_seconds() else []
    assert timing.rule is not None
    return _rule_faults(timing.rule, now, horizon)


def _instant_faults(pointer: str, at: datetime, now: datetime, horizon: timedelta) -> list[FieldError]:
    if at < now:
        return [FieldError(pointer, f"lies in the past; the platform's time is {now.isoformat(timespec='seconds')}")]
    return [_too_far(pointer, horizon)] if at - now > horizon else []


def _too_far(pointer: str, horizon: timedelta) -> FieldError:
    days = f"{horizon.days} days ahead"
    return FieldError(pointer, f"may lie at most {days} (the project's setting maxScheduleHorizonDays)")


def _rule_faults(rule: Recurrence, now: datetime, horizon: timedelta) -> list[FieldError]:
    faults: list[FieldError] = []
    if rule.timezone not in zone_names():
        near = get_close_matches(rule.timezone, sorted(zone_names()), n=1)
        hint = f"; did you mean {near[0]}?" if near else ", such as Europe/Berlin"
        faults.append(FieldError("/recurrence/timezone", f"is no IANA time zone{hint}"))
    hourly, weekly = rule.frequency is Frequency.HOURLY, rule.frequency is Frequency.WEEKLY
    if hourly and rule.hour is not None:
        faults.append(FieldError("/recurrence/hour", "an hourly rule has only a minute"))
    if not hourly and rule.hour is None:
        faults.append(FieldError("/recurrence/hour", f"a {rule.frequency} rule needs the hour"))
    if weekly and not rule.weekdays:
        faults.append(FieldError("/recurrence/weekdays", "a weekly rule needs at least one weekday"))
    if not weekly and rule.weekdays:
        faults.append(FieldError("/recurrence/weekdays", "only a weekly rule has weekdays"))
    if rule.start_at is not None and rule.start_at - now > horizon:
        faults.append(_too_far("/recurrence/startAt", horizon))
    if rule.end_at is not None and rule.end_at <= max(now, rule.start_at or now):
        faults.append(FieldError("/recurrence/endAt", "lies before the beginning"))
    return faults
