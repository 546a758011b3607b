"""A part that is late: the machine's load is told, and how to wait longer."""

import os
from pathlib import Path

import pytest

from cluster.bringup import UpOptions, up
from cluster.patience import VARIABLE, late, patience
from planvault.errors import BringUpFailed


@pytest.mark.parametrize(("text", "factor"), [(None, 1.0), ("", 1.0), ("1", 1.0), ("2.5", 2.5), ("20", 20.0)])
def test_patience_is_a_factor(text: str | None, factor: float) -> None:
    assert patience({} if text is None else {VARIABLE: text}) == factor


@pytest.mark.parametrize("text", ["0", "0.5", "-1", "21", "nan", "inf", "long"])
def test_what_is_no_such_number_is_told(text: str) -> None:
    with pytest.raises(BringUpFailed, match=f"{VARIABLE} is '{text}'.*from 1 to 20"):
        patience({VARIABLE: text})


@pytest.mark.parametrize(
    ("load", "says"), [(18.5, "This machine is busy (load 18.5 on 2 cores"), (0.4, "To wait longer")]
)
def test_who_waits_in_vain_learns_why_and_what_to_do(monkeypatch: pytest.MonkeyPatch, load: float, says: str) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, load, load))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    message = str(late("Ray (log: /d/ray.log) did not start", 60))
    assert message.startswith("Ray (log: /d/ray.log) did not start within 60 s. ")
    assert says in message
    assert f"{VARIABLE}=3 planvault up" in message


def test_a_bring_up_refuses_it_before_it_makes_or_starts_anything(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with pytest.raises(BringUpFailed, match=VARIABLE):
        up(UpOptions(folder, environment={VARIABLE: "soon"}), lambda part, what: None)
    assert not folder.exists()
