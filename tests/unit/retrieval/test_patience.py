"""How long a part that is away is waited for."""

from retrieval.patience import Absence


def test_an_absence_is_too_long_only_after_the_patience_and_is_forgotten_with_an_answer() -> None:
    absence = Absence(patience_s=10)
    assert [absence.is_too_long(now) for now in (100.0, 109.9, 110.0, 200.0)] == [False, False, True, True]
    absence.answered()
    assert not absence.is_too_long(300.0)
