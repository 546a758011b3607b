"""From a folder of API descriptions to a voted run through the command line: which tools prompts get, and why."""

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from models.base import JsonObject
from planvault.cli.answers import AnswerByRule
from planvault.cli.client import ApiClient
from planvault.cli.watch import Watcher
from tests.e2e.conftest import PlanVault, Platform
from tests.e2e.slow_shop import slow_shop

pytestmark = pytest.mark.e2e

IMPORT_S = 120
QUESTION = "What does the lighthouse say at night?"
DOCUMENTS = {
    "lights.json": {"/lamps": ("flashLamp", "Flash the lamp"), "/horns": ("soundHorn", "Sound the fog horn")},
    "tides.json": {"/tides": ("readTides", "Read the tide table"), "/buoys": ("listBuoys", "List the buoys")},
}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Two descriptions of one service, and a file that is none."""
    with slow_shop(0.0) as base_url:
        for name, operations in DOCUMENTS.items():
            (tmp_path / name).write_text(json.dumps(described(name, base_url, operations)))
        (tmp_path / "broken.json").write_text("{")
        yield tmp_path


def described(title: str, base_url: str, operations: dict[str, tuple[str, str]]) -> JsonObject:
    answers: JsonObject = {"200": {"description": "what was asked for"}}
    paths: JsonObject = {
        path: {"get": {"operationId": name, "summary": summary, "responses": answers}}
        for path, (name, summary) in operations.items()
    }
    return {
        "openapi": "3.0.3",
        "info": {"title": title, "version": "1"},
        "servers": [{"url": base_url}],
        "paths": paths,
    }


def test_a_folder_s_tools_are_selected_mapped_run_and_voted_on(
    api: ApiClient, platform: Platform, planvault: PlanVault, folder: Path
) -> None:
    def told(*arguments: str) -> str:
        ran = planvault(*arguments, "--data-dir", str(platform.data_dir), timeout=IMPORT_S)
        assert ran.returncode == 0, (ran.stdout, ran.stderr)
        return ran.stdout

    def selected() -> JsonObject:
        found: JsonObject = json.loads(told("tools", "select", QUESTION, "--json"))
        return next(row for row in rows(found, "candidates") if row["name"] == "flashLamp")

    summary = told("import", "--directory", str(folder), "--name-prefix", "coast-")
    assert "3 documents: 2 stored, 0 unchanged, 1 refused" in summary
    try:
        before = selected()
        scenario = told("scenarios", "create", "night", "--sample", QUESTION, "--tool", "flashLamp").strip()
        try:
            after = selected()
            assert number(after, "scenario") > 0
            assert float(str(after["score"])) > float(str(before["score"]))
            session = str(api.create_session({})["id"])
            seen = Watcher(api, session, AnswerByRule(Console(file=StringIO()), {}), lambda _: None).prompt(QUESTION)
            assert seen.shortlist[0] == "flashLamp", seen
            assert f"Run {seen.run_id}: like." in told("feedback", session, "like")
        finally:
            told("scenarios", "delete", scenario)
    finally:
        for one in rows(api.admin("GET", "tools"), "items"):
            if str(one["name"]).startswith("coast-"):
                api.delete_integration(str(one["toolId"]))


def rows(found: JsonObject, key: str) -> list[JsonObject]:
    listed = found[key]
    assert isinstance(listed, list)
    return [row for row in listed if isinstance(row, dict)]


def number(candidate: JsonObject, part: str) -> float:
    scores = candidate["scores"]
    assert isinstance(scores, dict)
    return float(str(scores.get(part, 0.0)))
