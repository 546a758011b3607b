"""`resolve`: what an operator may say, and what comes of it."""

from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from cluster import credentials
from cluster.credentials import Credentials
from models.base import JsonObject
from planvault.cli import resolve
from planvault.cli.main import app
from tests.unit.cli.scripted_platform import ScriptedPlatform, Told

STUCK: Told = ("run_status", {"runId": "r1", "status": "needs_manual_recovery"})
DONE: Told = ("done", {"runId": "r1", "status": "completed", "reply": "booked as 7"})
FAILED: Told = ("done", {"runId": "r1", "status": "failed", "reply": None})
LOST: JsonObject = {"kind": "recovery", "tool": "bookParcel", "nodeId": "n1"}


def decide(platform: ScriptedPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    held = Credentials(base_url="http://pv", org_id="o", project_id="p", project_key="k", admin_token="t")
    credentials.write(tmp_path / "credentials.json", held)
    monkeypatch.setattr(resolve, "client", lambda *_: platform.client())
    return CliRunner().invoke(app, ["resolve", *arguments, "--data-dir", str(tmp_path)])


def stuck(*after: Told) -> ScriptedPlatform:
    """The record up to the stop has been seen by others."""
    platform = ScriptedPlatform([STUCK, *after])
    platform.told = 1
    platform.run = {"id": "r1", "status": "needs_manual_recovery", "isOpen": True, "pending": LOST}
    return platform


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        (["mark-done", "--result", '{"id": 7}'], {"resolution": "mark_done", "result": {"id": 7}}),
        (
            ["mark-done", "--result", "null", "--reason", "seen"],
            {"resolution": "mark_done", "result": None, "reason": "seen"},
        ),
        (["retry", "--run", "r1"], {"resolution": "retry", "runId": "r1"}),
        (["fail", "--reason", "not booked"], {"resolution": "fail", "reason": "not booked"}),
    ],
)
def test_a_resolution_is_sent_and_the_run_followed_to_its_end(
    arguments: list[str], sent: JsonObject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = stuck(DONE)
    result = decide(platform, tmp_path, monkeypatch, "s1", *arguments)
    assert platform.actions == [{"action": "resolve", **sent}]
    assert result.exit_code == 0, result.stderr
    assert "booked as 7" in result.stdout


def test_a_run_that_was_ended_on_purpose_is_no_failure_of_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert decide(stuck(FAILED), tmp_path, monkeypatch, "s1", "fail").exit_code == 0


def test_a_retry_that_is_lost_again_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    platform = stuck(STUCK)
    still = platform.run
    monkeypatch.setattr(platform, "_accepted", lambda _: httpx.Response(202, json={"runId": "r1"}))
    result = decide(platform, tmp_path, monkeypatch, "s1", "retry")
    assert platform.run is still
    assert result.exit_code == 1
    assert "bookParcel (n1)" in result.stdout
    assert "planvault resolve s1 --run r1" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mark-done"], "mark-done needs --result"),
        (["mark-done", "--result", "booked"], "not JSON"),
        (["retry", "--result", "{}"], "--result goes with mark-done"),
    ],
)
def test_what_does_not_fit_together_is_refused_before_anything_is_sent(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = stuck(DONE)
    result = decide(platform, tmp_path, monkeypatch, "s1", *arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert platform.actions == []
