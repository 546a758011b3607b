"""Credentials: private on disk, quiet in messages."""

import stat
from pathlib import Path

import pytest

from cluster import credentials
from cluster.credentials import Credentials
from planvault.errors import BringUpFailed

MADE = Credentials(
    base_url="http://127.0.0.1:1", org_id="o", project_id="p", project_key="sk_live_x", admin_token="pv_y"
)


def test_the_file_is_private_and_holds_the_documented_names(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    credentials.write(path, MADE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert '"projectKey": "sk_live_x"' in path.read_text()
    assert credentials.read(path) == MADE


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    credentials.write(path, MADE)
    path.chmod(0o644)
    with pytest.raises(BringUpFailed, match="chmod 600"):
        credentials.read(path)


def test_a_damaged_file_is_refused_without_quoting_it(tmp_path: Path) -> None:
    path = tmp_path / "credentials.json"
    credentials.write_private(path, '{"projectKey": "sk_live_x"}')
    with pytest.raises(BringUpFailed) as refused:
        credentials.read(path)
    assert "sk_live_x" not in str(refused.value)


def test_no_file_is_no_error(tmp_path: Path) -> None:
    assert credentials.read(tmp_path / "credentials.json") is None


def test_secrets_do_not_show_when_credentials_are_printed() -> None:
    assert "sk_live_x" not in f"{MADE} {MADE!r}"
    assert "pv_y" not in f"{MADE} {MADE!r}"


def test_the_ray_token_is_made_once(tmp_path: Path) -> None:
    first = credentials.ray_token(tmp_path / "ray_token")
    assert credentials.ray_token(tmp_path / "ray_token") == first
    assert stat.S_IMODE((tmp_path / "ray_token").stat().st_mode) == 0o600
