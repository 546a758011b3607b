"""How long a part that is away is waited for."""

from retrieval.patience import Absence


def test_an_absence_is_too_long_only_after_the_patience_and_is_forgotten_with_an_answer() -> None:
    absence = Absence(patience_s=10)
    assert [absence.is_too_long(now) for now in (100.0, 109.9, 110.0, 115.0)] == [False, False, True, True]
    absence.answered()
    assert not absence.is_too_long(116.0)


def test_two_absences_with_nobody_looking_between_them_are_not_one() -> None:
    absence = Absence(patience_s=10)
    assert not absence.is_too_long(100.0)
    assert not absence.is_too_long(3_700.0)
    assert absence.is_too_long(3_710.0)
