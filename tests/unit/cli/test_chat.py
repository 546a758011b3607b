"""`chat` where no terminal is: prompts come line by line or as the argument, and nobody approves by accident."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cluster import credentials
from cluster.credentials import Credentials
from models.base import JsonObject
from planvault.cli import chat
from planvault.cli.main import app
from tests.unit.cli.scripted_platform import ScriptedPlatform, Told

RUN = {"runId": "r1"}
STARTED: Told = ("started", {**RUN, "planGraph": {"nodes": []}})
CONFIRM: Told = ("confirm_plan_required", {**RUN, "tools": ["cancelOrder"], "planHash": "a" * 64})
SLOTS: Told = ("slots_required", {**RUN, "slots": [{"variable": "id", "prompt": "Which?", "type": "number"}]})
DONE: Told = ("done", {**RUN, "status": "completed", "reply": "cancelled 7"})
REJECTED: Told = ("done", {**RUN, "status": "cancelled", "reply": None})


def talk(
    platform: ScriptedPlatform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str, stdin: str = ""
) -> Result:
    held = Credentials(base_url="http://pv", org_id="o", project_id="p", project_key="k", admin_token="t")
    credentials.write(tmp_path / "credentials.json", held)
    monkeypatch.setattr(chat, "client", lambda *_: platform.client())
    return CliRunner().invoke(app, ["chat", *arguments, "--data-dir", str(tmp_path)], input=stdin)


def test_a_plan_is_rejected_where_nobody_can_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    platform = ScriptedPlatform([STARTED, CONFIRM, REJECTED])
    result = talk(platform, tmp_path, monkeypatch, "cancel order 7", "--session", "s1")
    assert [action["action"] for action in platform.actions] == ["reject"]
    assert "no --approve" in result.stdout
    assert result.exit_code == 1
    assert "ended as cancelled" in result.stderr


def test_leave_given_beforehand_approves_exactly_what_was_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = ScriptedPlatform([STARTED, CONFIRM, DONE])
    result = talk(platform, tmp_path, monkeypatch, "cancel order 7", "--session", "s1", "--approve")
    assert platform.actions == [{"action": "approve", "runId": "r1", "planHash": "a" * 64}]
    assert result.exit_code == 0
    assert "cancelled 7" in result.stdout


def test_slots_that_nobody_can_fill_are_cancelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    platform = ScriptedPlatform([SLOTS, REJECTED])
    talk(platform, tmp_path, monkeypatch, "cancel an order", "--session", "s1")
    assert [action["action"] for action in platform.actions] == ["cancel_slots"]


def test_prompts_are_read_line_by_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    platform = ScriptedPlatform([STARTED, DONE, STARTED, DONE])
    result = talk(platform, tmp_path, monkeypatch, "--session", "s1", stdin="first\n\n  second \n")
    assert platform.messages == ["first", "second"]
    assert result.exit_code == 0


STUCK: Told = ("run_status", {**RUN, "status": "needs_manual_recovery"})
LOST: JsonObject = {
    "kind": "recovery",
    "tool": "bookParcel",
    "nodeId": "n1",
    "message": "The connection broke",
    "retryNotBefore": "2026-11-20T06:24:47.5+00:00",
}


def stuck(*events: Told) -> ScriptedPlatform:
    platform = ScriptedPlatform([*events])
    platform.run = {"id": "r1", "status": "needs_manual_recovery", "isOpen": True, "pending": LOST}
    return platform


def test_a_run_that_needs_an_operator_is_shown_with_the_way_out_and_nothing_is_sent_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = stuck(STARTED, STUCK, DONE)
    monkeypatch.setattr(platform, "run", None)  # not open yet when the chat begins
    asked: list[str] = []

    def opened(session_id: str, run_id: str) -> JsonObject:
        asked.append(run_id)
        return {"id": run_id, "status": "needs_manual_recovery", "isOpen": True, "pending": LOST}

    api = platform.client()
    monkeypatch.setattr(api, "run", opened)
    monkeypatch.setattr(platform, "client", lambda: api)

    result = talk(platform, tmp_path, monkeypatch, "--session", "s1", "--approve", stdin="book it\nand another\n")

    assert platform.messages == ["book it"]
    assert asked == ["r1"]
    for said in ("bookParcel (n1)", "The connection broke", "2026-11-20 06:24:47 UTC"):
        assert said in result.stdout
    assert result.exit_code == 1
    for way in ("mark-done --result", "retry", "fail --reason"):
        assert f"planvault resolve s1 --run r1 {way}" in result.stderr


def test_no_prompt_is_sent_behind_a_run_that_waits_for_an_operator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = stuck(STARTED, STUCK)
    result = talk(platform, tmp_path, monkeypatch, "book it", "--session", "s1")
    assert platform.messages == []
    assert result.exit_code == 1
    assert "planvault resolve s1 --run r1" in result.stderr


@pytest.mark.parametrize("leave", [[], ["--approve"]])
def test_a_plan_that_waits_since_before_is_not_decided_by_a_script(
    leave: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = ScriptedPlatform([STARTED, CONFIRM])
    pending: JsonObject = {"kind": "plan", "tools": ["cancelOrder"], "planHash": "a" * 64}
    platform.run = {"id": "r1", "status": "awaiting_confirmation", "isOpen": True, "pending": pending}
    result = talk(platform, tmp_path, monkeypatch, "hello", "--session", "s1", *leave)
    assert (platform.messages, platform.actions) == ([], [])
    assert result.exit_code == 1
    assert "plan: cancelOrder" in result.stderr
