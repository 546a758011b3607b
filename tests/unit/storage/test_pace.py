"""Bulk work rests longer where it is slowed down."""

from planvault.storage.pace import Pace


def test_it_rests_as_long_as_a_page_took_while_nothing_slows_it_down() -> None:
    pace = Pace(1.0)
    assert [pace.rest("events", 0.01, 500) for _ in range(3)] == [0.01] * 3


def test_a_page_that_took_twice_as_long_is_followed_by_twice_the_rest_for_its_length() -> None:
    pace = Pace(1.0)
    pace.rest("events", 0.01, 500)
    assert pace.rest("events", 0.02, 500) == 0.04
    assert pace.rest("events", 0.01, 500) == 0.01, "and where it goes fast again, it goes on fast"


def test_the_work_comes_to_an_end_however_busy_the_machine_is() -> None:
    pace = Pace(1.0, most=3.0)
    pace.rest("events", 0.01, 500)
    assert pace.rest("events", 10.0, 500) == 30.0


def test_only_pages_of_one_kind_and_their_items_are_compared() -> None:
    pace = Pace(0.5)
    pace.rest("events", 0.01, 500)
    assert pace.rest("chunks of results", 0.1, 5) == 0.05
    assert pace.rest("events", 0.001, 50) == 0.0005
