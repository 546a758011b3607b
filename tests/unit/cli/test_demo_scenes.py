"""What counts as a demo that went well."""

from dataclasses import replace

import pytest

from planvault.cli.demo_scenes import SCENES, Scene, judge
from planvault.cli.watch import RunSeen

SCENE = Scene("t", "p", calls=("find", "send"), reply_has="sent", slots={"amount": 1})
GOOD = RunSeen(
    status="completed",
    reply="it was sent",
    succeeded=["find", "look", "send"],
    slots_asked=["amount"],
    shortlist=["find"],
    to_plan_s=0.1,
)


def test_a_run_with_every_expected_outcome_is_good() -> None:
    assert judge(SCENE, GOOD) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"status": "failed"}, "should be completed"),
        ({"status": ""}, "still open"),
        ({"succeeded": ["send", "find"]}, "find → send"),
        ({"succeeded": ["find"]}, "find → send"),
        ({"reply": "nothing"}, "reply"),
        ({"slots_asked": []}, "amount"),
        ({"shortlist": []}, "selection"),
        ({"to_plan_s": None}, "plan"),
    ],
)
def test_each_missing_outcome_is_named(change: dict[str, object], complaint: str) -> None:
    missing = judge(SCENE, replace(GOOD, **change))  # type: ignore[arg-type]

    assert len(missing) == 1
    assert complaint in missing[0]


def test_an_expected_failure_must_really_fail() -> None:
    scene = Scene("t", "p", status="failed", fails=("track",), error_has="carrier")
    seen = replace(GOOD, status="failed", failed=["track"], error="the carrier is off")

    assert judge(scene, seen) == []
    assert len(judge(scene, replace(seen, failed=[], error=""))) == 2


def test_what_the_person_declined_is_not_held_against_the_platform() -> None:
    assert judge(SCENE, RunSeen(status="cancelled", declined=True)) == []
    assert judge(SCENE, RunSeen(status="completed", declined=True)) != []


def test_the_demo_shows_reading_changing_asking_and_failing() -> None:
    assert any(scene.slots for scene in SCENES)
    assert any(scene.fails for scene in SCENES)
    assert any(len(scene.calls) > 1 for scene in SCENES)
