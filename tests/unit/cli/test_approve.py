"""`approve` and `reject`: what is shown, what is sent, and for whom."""

from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from cluster import credentials
from cluster.credentials import Credentials
from models.base import JsonObject
from planvault.cli import approve
from planvault.cli.client import ApiClient
from planvault.cli.main import app
from tests.unit.cli.scripted_platform import ScriptedPlatform, problem

TOOL: JsonObject = {
    "kind": "tool",
    "tool": "pay",
    "nodeId": "n2",
    "correlationId": "c1",
    "displayParams": {"amount": 500, "to": "ada"},
    "rules": [{"id": "big", "message": "Large payment"}],
    "groups": ["finance"],
    "quorum": 2,
    "votes": [{"actor": "bob"}],
    "expiresAt": "2026-01-01T00:00:00+00:00",
}
spoken_with: list[tuple[str, str]] = []  # credential and operator of the last command
PLAN: JsonObject = {"kind": "plan", "planHash": "a" * 64, "tools": ["pay"]}


def say(
    word: str, pending: JsonObject | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *more: str, typed: str = ""
) -> tuple[ScriptedPlatform, Result]:
    platform = ScriptedPlatform([])
    status = "awaiting_confirmation" if pending is not None else "executing"
    platform.run = {"id": "r1", "status": status, "isOpen": True, "pending": pending}
    held = Credentials(base_url="http://pv", org_id="o", project_id="p", project_key="k", admin_token="t")
    credentials.write(tmp_path / "credentials.json", held)
    spoken_with.clear()

    def client(held: Credentials, operator: str) -> ApiClient:
        spoken_with.append((held.project_key, operator))
        return platform.client()

    monkeypatch.setattr(approve, "client", client)
    return platform, CliRunner().invoke(app, [word, "s1", *more, "--data-dir", str(tmp_path)], input=typed)


def test_a_call_is_shown_and_approved_as_it_was_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    platform, result = say("approve", TOOL, tmp_path, monkeypatch, "--reason", "seen", typed="y\n")
    assert result.exit_code == 0, result.stderr
    for line in ("pay (n2)", "amount: 500", "rule big: Large payment", "2 people", "finance", "2026-01-01 00:00:00"):
        assert line in result.stdout
    assert platform.actions == [{"action": "approve_tool", "runId": "r1", "correlationId": "c1", "reason": "seen"}]


def test_no_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    platform, result = say("approve", TOOL, tmp_path, monkeypatch, typed="n\n")
    assert result.exit_code != 0
    assert platform.actions == []


def test_a_plan_is_rejected_by_its_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    platform, result = say("reject", PLAN, tmp_path, monkeypatch)
    assert result.exit_code == 0, result.stderr
    assert platform.actions == [{"action": "reject", "runId": "r1", "planHash": "a" * 64}]


def test_a_run_that_asks_nothing_of_the_kind_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, result = say("approve", None, tmp_path, monkeypatch, "--yes")
    assert result.exit_code != 0
    assert "does not wait for an approval" in result.stderr


def test_a_vote_that_does_not_count_fails_the_command_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: httpx.Response = problem(403, "SELF_APPROVAL")
    monkeypatch.setattr(ScriptedPlatform, "_accepted", lambda *_: refused)
    _, result = say("approve", TOOL, tmp_path, monkeypatch, "--yes")
    assert result.exit_code != 0
    assert "SELF_APPROVAL" in result.stderr


@pytest.mark.parametrize(
    ("token", "with_"), [("", "k"), ("eyJ.of.mia", "eyJ.of.mia"), ("st_live_ci", "k"), ("pv_admin_x", "k")]
)
@pytest.mark.parametrize("word", ["approve", "reject"])
def test_who_is_signed_in_votes_with_their_own_token(
    word: str, token: str, with_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANVAULT_TOKEN", token)
    _, result = say(word, TOOL, tmp_path, monkeypatch, *(["--yes"] if word == "approve" else []))
    assert result.exit_code == 0, result.stderr
    assert spoken_with == [(with_, "")]
