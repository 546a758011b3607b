"""Rules on the clocks of every IANA zone, judged by a second account of what those clocks show.

The judge never converts a local time to an instant, which is where the pitfalls are: it walks along real time, asks
what the zone's clocks show, and finds the rule's time there or the gap that swallowed it.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.schedules import Frequency, Recurrence, Weekday
from planvault.scheduling.recurrence import latest, next_after
from planvault.scheduling.zones import zone, zone_names

ZONES = sorted(zone_names())
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def instants(first: int, last: int) -> st.SearchStrategy[datetime]:
    """Any instant from the first year up to the last."""
    begin, end = (datetime.fromisoformat(f"{year}-01-01") for year in (first, last))
    return st.datetimes(begin, end, timezones=st.just(UTC))


@cache
def transitions(name: str, year: int) -> tuple[datetime, ...]:
    """The instants of the year at which the zone's offset changes, to the second."""
    place, found = zone(name), []
    at, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    while at < end:
        following = at + 12 * HOUR
        if offset(place, at) != offset(place, following):
            found.append(_bisected(place, at, following))
        at = following
    return tuple(found)


def _bisected(place: ZoneInfo, before: datetime, after: datetime) -> datetime:
    old = offset(place, before)
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before).total_seconds() // 2)
        before, after = (middle, after) if offset(place, middle) == old else (before, middle)
    return after


def offset(place: ZoneInfo, at: datetime) -> timedelta:
    found = at.astimezone(place).utcoffset()
    assert found is not None
    return found


def shown(place: ZoneInfo, at: datetime) -> datetime:
    """What a wall clock shows, without its zone."""
    return at.astimezone(place).replace(tzinfo=None)


def judged(name: str, day: date, wall: time) -> datetime:
    """When the clocks show this time first; where they leave it out, as long after the change as it lies in the gap."""
    place, wanted = zone(name), datetime.combine(day, wall)
    naive = wanted.replace(tzinfo=UTC)
    changes = [c for y in {day.year - 1, day.year, day.year + 1} for c in transitions(name, y)]
    near = sorted({naive - 2 * DAY, *(c for c in changes if abs(c - naive) < 2 * DAY), naive + 2 * DAY})
    for start, end in pairwise(near):
        candidate = start + (wanted - shown(place, start))  # within one stretch clocks and time go alike
        if start <= candidate < end:
            return candidate
    for change in near[1:-1]:
        before = shown(place, change - timedelta(seconds=1)) + timedelta(seconds=1)
        if before <= wanted < shown(place, change):
            return change + (wanted - before)
    raise AssertionError(f"{name} neither shows nor skips {wanted}")


def occurrences(rule: Recurrence, after: datetime, until: datetime) -> Iterator[datetime]:
    at = after
    while (following := next_after(rule, at)) is not None and following <= until:
        assert following > at, "time goes forth"
        yield following
        at = following


def daily(name: str, wall: time) -> Recurrence:
    return Recurrence(frequency=Frequency.DAILY, timezone=name, hour=wall.hour, minute=wall.minute)


def check_daily(name: str, wall: time, first: date, days: int) -> None:
    """Each date of the range has its occurrence; dates that a zone left out whole fall on the next one's."""
    wanted = sorted({judged(name, first + DAY * number, wall) for number in range(days)})
    found = list(occurrences(daily(name, wall), wanted[0] - timedelta(seconds=1), wanted[-1]))
    assert found == wanted, (name, wall, first)


def check_from_anywhere(rule: Recurrence, wanted: list[datetime], step: timedelta) -> None:
    """From wherever one looks, the next occurrence is the first of the wanted ones that comes later."""
    at = wanted[0] - timedelta(seconds=1)
    while at < wanted[-1]:
        assert next_after(rule, at) == min(one for one in wanted if one > at), (rule, at)
        at += step


@pytest.mark.parametrize("year", [2026, 2027])
def test_daily_rules_in_every_zone_occur_once_a_day_around_every_change_of_the_clocks(year: int) -> None:
    for name in ZONES:
        for change in transitions(name, year):
            local = shown(zone(name), change)
            for minutes in (-90, -60, -30, -1, 0, 29, 30, 60):
                wall = (local + timedelta(minutes=minutes)).time().replace(second=0)
                check_daily(name, wall, local.date() - 2 * DAY, 5)
                around = sorted({judged(name, local.date() + DAY * number, wall) for number in (-1, 0, 1)})
                check_from_anywhere(daily(name, wall), around, timedelta(minutes=173))


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(ZONES),
    wall=st.times().map(lambda at: at.replace(second=0, microsecond=0, tzinfo=None)),
    first=st.dates(date(1900, 1, 1), date(2199, 12, 1)),
)
def test_daily_rules_skip_no_day_and_repeat_none_in_any_year(name: str, wall: time, first: date) -> None:
    check_daily(name, wall, first, 30)


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(ZONES),
    wall=st.times().map(lambda at: at.replace(second=0, microsecond=0, tzinfo=None)),
    weekdays=st.sets(st.sampled_from(list(Weekday)), min_size=1),
    first=st.dates(date(1970, 1, 1), date(2199, 12, 1)),
)
def test_weekly_rules_are_the_daily_ones_on_their_weekdays(
    name: str, wall: time, weekdays: set[Weekday], first: date
) -> None:
    rule = daily(name, wall).model_copy(update={"frequency": Frequency.WEEKLY, "weekdays": tuple(weekdays)})
    days = [
        day for day in (first + DAY * number for number in range(21)) if day.isoweekday() in {d.iso for d in weekdays}
    ]
    wanted = sorted({judged(name, day, wall) for day in days})
    assert list(occurrences(rule, wanted[0] - timedelta(seconds=1), wanted[-1])) == wanted


def test_hourly_rules_in_every_zone_occur_every_real_hour_across_every_change_of_the_clocks() -> None:
    uneven = set()
    for name in ZONES:
        place = zone(name)
        for change in transitions(name, 2026):
            minutes = [change + timedelta(minutes=number) for number in range(-180, 181)]
            for minute in (0, 15, 45):
                rule = Recurrence(frequency=Frequency.HOURLY, timezone=name, minute=minute)
                wanted = [at for at in minutes if shown(place, at).minute == minute]
                check_from_anywhere(rule, wanted, timedelta(minutes=17))
                if {later - earlier for earlier, later in pairwise(wanted)} != {HOUR}:
                    uneven.add(name)
    assert uneven == {"Australia/Lord_Howe", "Australia/LHI"}, "only they change by half an hour"


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(ZONES),
    minute=st.integers(0, 59),
    start=instants(1900, 2199),
)
def test_hourly_rules_leave_out_no_minute_that_the_clocks_show(name: str, minute: int, start: datetime) -> None:
    """In 40 hours' walk along real time: every full minute at which the clocks show the rule's minute, and no other."""
    place, rule = zone(name), Recurrence(frequency=Frequency.HOURLY, timezone=name, minute=minute)
    found = list(occurrences(rule, start, start + 40 * HOUR))
    assert all((clock := shown(place, at)).minute == minute and clock.second == 0 for at in found)
    for earlier, later in pairwise([start, *found]):
        step = earlier + timedelta(seconds=30)
        while step < later - timedelta(seconds=30):
            clock = shown(place, step)
            past = timedelta(seconds=clock.second, microseconds=clock.microsecond)
            assert clock.minute != minute or step - past <= earlier or step - past == later
            step += timedelta(seconds=47)


@settings(max_examples=200, deadline=None)
@given(
    name=st.sampled_from(ZONES),
    frequency=st.sampled_from(list(Frequency)),
    start=instants(1990, 2099),
    away=st.timedeltas(timedelta(0), timedelta(days=400)),
)
def test_who_was_away_catches_up_with_the_last_occurrence(
    name: str, frequency: Frequency, start: datetime, away: timedelta
) -> None:
    weekdays = (Weekday.TUESDAY,) if frequency is Frequency.WEEKLY else ()
    hour = None if frequency is Frequency.HOURLY else 2
    rule = Recurrence(frequency=frequency, timezone=name, hour=hour, minute=30, weekdays=weekdays)
    due = next_after(rule, start)
    assert due is not None
    now = due + away
    last = latest(rule, due, now)
    following = next_after(rule, last)
    assert following is not None
    assert due <= last <= now < following
    assert next_after(rule, last - timedelta(seconds=1)) == last


def test_bounds_of_a_rule_are_kept() -> None:
    start, end = datetime(2027, 1, 10, 9, tzinfo=UTC), datetime(2027, 1, 12, 9, tzinfo=UTC)
    rule = Recurrence(frequency=Frequency.DAILY, timezone="UTC", hour=9, start_at=start, end_at=end)
    found = list(occurrences(rule, datetime(2026, 6, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)))
    assert found == [start, start + DAY, end]
    assert next_after(rule, end) is None
    assert latest(rule, start, end + 30 * DAY) == end


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2026, 3, 28), "2026-03-28T01:30:00+00:00"),
        (date(2026, 3, 29), "2026-03-29T01:30:00+00:00"),  # 02:30 is left out: 03:30 summer time
        (date(2026, 3, 30), "2026-03-30T00:30:00+00:00"),
        (date(2026, 10, 24), "2026-10-24T00:30:00+00:00"),
        (date(2026, 10, 25), "2026-10-25T00:30:00+00:00"),  # 02:30 comes twice: the first, still summer time
        (date(2026, 10, 26), "2026-10-26T01:30:00+00:00"),
    ],
)
def test_half_past_two_in_berlin(day: date, expected: str) -> None:
    before = datetime.combine(day, time(), tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)
    found = next_after(daily("Europe/Berlin", time(2, 30)), before)
    assert found is not None
    assert found.isoformat() == expected


def test_zones_come_from_the_package_and_not_from_the_machine() -> None:
    assert {"Europe/Berlin", "America/Argentina/Buenos_Aires", "UTC", "US/Eastern"} <= zone_names()
    with pytest.raises(KeyError):
        zone("../../etc/localtime")
