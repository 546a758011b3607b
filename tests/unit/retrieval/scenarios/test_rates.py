"""Counts that fade, and what they say."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.scenarios.rates import Tally, decay, standing, success_rate, usage_share

NOW = datetime(2027, 3, 1, tzinfo=UTC)
LIFE = timedelta(days=30)
days = st.floats(min_value=0, max_value=400)


def test_a_count_halves_with_every_half_life() -> None:
    tally = Tally(8.0, 4.0, NOW)
    later = tally.as_of(NOW + 3 * LIFE, LIFE)
    assert (later.successes, later.failures) == pytest.approx((1.0, 0.5))


def test_what_lies_ahead_has_not_faded() -> None:
    assert decay(timedelta(days=-3), LIFE) == 1.0
    assert Tally(1.0, 0.0, NOW).as_of(NOW - LIFE, LIFE) == Tally(1.0, 0.0, NOW)


@given(early=days, late=days)
def test_the_order_in_which_things_are_counted_does_not_matter(early: float, late: float) -> None:
    first, second = NOW + timedelta(days=early), NOW + timedelta(days=late)
    empty = Tally(0.0, 0.0, NOW)
    one = empty.plus(1, 0, first, LIFE).plus(0, 2, second, LIFE).as_of(NOW + timedelta(days=401), LIFE)
    other = empty.plus(0, 2, second, LIFE).plus(1, 0, first, LIFE).as_of(NOW + timedelta(days=401), LIFE)
    assert (one.successes, one.failures) == pytest.approx((other.successes, other.failures), abs=1e-5)


@given(age=days)
def test_taking_back_leaves_nothing_however_late(age: float) -> None:
    later = NOW + timedelta(days=age)
    tally = Tally(0.0, 0.0, NOW).plus(0, 2, NOW, LIFE).as_of(later, LIFE).plus(0, -2, NOW, LIFE)
    assert tally.failures == pytest.approx(0.0, abs=1e-6)


def test_an_automatic_scenario_earns_its_rate_and_a_manual_one_starts_with_it() -> None:
    assert success_rate(Tally(0, 0, NOW), manual=False) == 0.0
    assert success_rate(Tally(1, 0, NOW), manual=False) == 0.5
    assert success_rate(Tally(1, 1.5, NOW), manual=False) < 0.3
    assert success_rate(Tally(0, 0, NOW), manual=True) == 1.0
    assert success_rate(Tally(0, 3, NOW), manual=True) == 0.5


def test_failures_that_prevail_turn_an_automatic_scenario_and_never_a_manual_one() -> None:
    assert standing(Tally(2, 0, NOW), manual=False) > standing(Tally(2, 1, NOW), manual=False) > 0
    assert -1 < standing(Tally(2, 40, NOW), manual=False) < 0
    assert standing(Tally(0, 0, NOW), manual=True) == 1.0
    assert standing(Tally(0, 40, NOW), manual=True) == 0.0


def test_evidence_that_fades_takes_the_rate_of_an_automatic_scenario_with_it() -> None:
    tally = Tally(5.0, 0.0, NOW)
    rates = [success_rate(tally.as_of(NOW + n * LIFE, LIFE), manual=False) for n in range(6)]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.15


def test_usage_is_smoothed_by_its_logarithm_and_ends_at_one() -> None:
    assert usage_share(0) == 0
    assert usage_share(10) > 0.5
    assert usage_share(1_000) - usage_share(100) < usage_share(10) - usage_share(1)
    assert usage_share(1e12) == 1.0
