"""When a recurring job occurs. Pure; instants are timezone-aware UTC.

Daily and weekly rules name a time on the zone's clocks. Where a change of the clocks leaves that time out, the
occurrence comes later by as much as the clocks were put forward (02:30 becomes 03:30); where the time comes twice, the
first one counts. This is what RFC 5545 says, Temporal calls `compatible`, and PEP 495 gives for `fold=0`.

Hourly rules name a minute: they occur whenever the zone's clocks show it, so once every real hour. Only a change by a
part of an hour (today Lord Howe Island's) makes one interval longer or shorter than that.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from models.schedules import Frequency, Recurrence
from planvault.scheduling.zones import zone

_HOUR = 3_600
_LAST_YEAR = 9_990  # beyond it, calendar arithmetic ends
# From one occurrence to the next: at most a week, and a day that a zone left out (Samoa, 30 December 2011).
_DAYS_AHEAD = 10
_LOOK_BACK = timedelta(days=_DAYS_AHEAD)


def next_after(rule: Recurrence, after: datetime) -> datetime | None:
    """The first occurrence later than `after`; None when there is none any more."""
    if rule.start_at is not None and rule.start_at > after:
        after = rule.start_at - timedelta(microseconds=1)
    if after.year >= _LAST_YEAR:
        return None
    place = zone(rule.timezone)
    found = _hourly(rule.minute, place, after) if rule.frequency is Frequency.HOURLY else _dated(rule, place, after)
    return None if rule.end_at is not None and found > rule.end_at else found


def latest(rule: Recurrence, due: datetime, now: datetime) -> datetime:
    """The last occurrence not later than `now`, `due` being one: what a scheduler that was away catches up with."""
    until = now if rule.end_at is None else min(now, rule.end_at)
    if due < until - _LOOK_BACK:
        due = next_after(rule, until - _LOOK_BACK) or due
    while (following := next_after(rule, due)) is not None and following <= until:
        due = following
    return due


def _dated(rule: Recurrence, place: ZoneInfo, after: datetime) -> datetime:
    """Occurrences of successive days never go back, so the first one that is late enough is the next one."""
    wall = time(rule.hour or 0, rule.minute)
    days = {day.iso for day in rule.weekdays} or set(range(1, 8))
    for day in _days_from(after.astimezone(place).date() - timedelta(days=1)):
        if day.isoweekday() in days:
            occurrence = datetime.combine(day, wall, tzinfo=place).astimezone(UTC)
            if occurrence > after:
                return occurrence
    raise AssertionError("a weekly rule occurs every week")


def _days_from(first: date) -> Iterator[date]:
    return (first + timedelta(days=ahead) for ahead in range(_DAYS_AHEAD + 2))


def _hourly(minute: int, place: ZoneInfo, after: datetime) -> datetime:
    """Looks at one hour after the other: in each, the zone has the offset of its beginning or of its end."""
    for ends in pairwise(after + timedelta(hours=ahead) for ahead in range(5)):
        offsets = {_offset(place, end) for end in ends}
        shown = [at for offset in offsets if _offset(place, at := _showing(minute, offset, ends[0])) == offset]
        if shown:
            return min(shown)
    raise AssertionError("clocks show every minute within the hour")


def _showing(minute: int, offset: timedelta, after: datetime) -> datetime:
    """The first instant after `after` at which a clock with this offset shows `minute` and no seconds."""
    second = int(after.timestamp()) + 1
    away = (minute * 60 - second - int(offset.total_seconds())) % _HOUR
    return datetime.fromtimestamp(second + away, UTC)


def _offset(place: ZoneInfo, at: datetime) -> timedelta:
    offset = at.astimezone(place).utcoffset()
    assert offset is not None, "a zone has an offset at every instant"
    return offset
