"""What `planvault keys rewrap` says when it is done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from planvault.cli.main import app
from planvault.storage.rewrap import Rewrapped


@pytest.fixture(autouse=True)
def everything_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cluster.rewrap.rewrap", lambda settings, to, seen: Rewrapped(3, {}, ()))


def said(tmp_path: Path, *arguments: str) -> str:
    result = CliRunner().invoke(app, ["keys", "rewrap", "--to", "aws-kms", "--data-dir", str(tmp_path), *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_old_key_is_not_called_unneeded_while_new_organisations_get_it(tmp_path: Path) -> None:
    """Who then destroyed it lost the organisations that were made since."""
    text = said(tmp_path)
    assert "New organisations are still wrapped by local: keep its key" in text
    assert "PLANVAULT_KEK_PROVIDER=aws-kms" in text
    assert "no longer needed" not in text
    assert json.loads(said(tmp_path, "--json"))["newOrganizations"] == "local"


def test_nothing_is_added_where_new_organisations_get_the_new_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLANVAULT_KEK_PROVIDER", "aws-kms")
    assert "Nothing is wrapped by another key" in said(tmp_path)
    assert "still" not in said(tmp_path)
