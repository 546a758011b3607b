"""`planvault audit` against an export of the real application; verification of it needs no platform."""

import json
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from planvault.cli.main import app
from tests.integration.serve_apps.conftest import Tenant

RUN = CliRunner()


@pytest.fixture
async def kept(admin: httpx.AsyncClient, tenant: Tenant, tmp_path: Path) -> Path:
    """A folder with an export, a head from before its last row, and the public key."""
    for name in ("one", "two\u2028lines", "three"):
        if name == "three":
            (tmp_path / "heads").write_text((await admin.get(f"{tenant.admin}/audit/head")).text + "\n")
        answer = await admin.post(f"{tenant.admin}/projects", json={"name": name.replace("\u2028", " ")})
        assert answer.status_code == 201
    (tmp_path / "export").write_bytes((await admin.get(f"{tenant.admin}/audit/export")).content)
    (tmp_path / "key").write_text((await admin.get(f"{tenant.admin}/audit/keys")).json()["items"][0]["publicKey"])
    return tmp_path


def _verify(folder: Path, *more: str) -> tuple[int, str]:
    key = (folder / "key").read_text()
    result = RUN.invoke(
        app, ["audit", "verify", "--file", str(folder / "export"), "--head", str(folder / "heads"), "--key", key, *more]
    )
    return result.exit_code, result.output


def test_an_export_that_is_whole_is_said_to_be(kept: Path) -> None:
    status, said = _verify(kept)
    assert (status, said.splitlines()) == (0, ["✓ 3 rows, up to 3, 2 signed heads"])
    report = json.loads(_verify(kept, "--json")[1])
    assert (report["ok"], report["rows"], report["pinned"]) == (True, 3, True)


def test_without_a_key_it_says_what_that_means(kept: Path) -> None:
    result = RUN.invoke(app, ["audit", "verify", "--file", str(kept / "export")])
    assert result.exit_code == 0
    assert "no --key" in result.output


def test_an_edited_export_ends_with_status_one_and_names_the_row(kept: Path) -> None:
    export = (kept / "export").read_bytes()
    (kept / "export").write_bytes(export.replace(b"SETTINGS_CHANGED", b"PLAN_APPROVED", 1))
    status, said = _verify(kept)
    assert status == 1
    assert "row 1: EDITED" in said


def test_a_truncated_export_is_no_complete_one(kept: Path) -> None:
    export = (kept / "export").read_bytes()
    (kept / "export").write_bytes(export[: len(export) * 2 // 3])
    status, said = _verify(kept)
    assert (status, "INCOMPLETE" in said) == (1, True)


@pytest.mark.parametrize("content", [b"", b"{}", b"no json", b"\xff\xfe", b'{"type":"row"}', b"[1]\nnull\n"])
def test_what_is_no_export_is_a_fault_and_no_crash(kept: Path, content: bytes) -> None:
    (kept / "export").write_bytes(content)
    status, said = _verify(kept)
    assert (status, "INCOMPLETE" in said) == (1, True)


def test_a_key_or_a_file_that_is_none_is_refused(kept: Path) -> None:
    assert RUN.invoke(app, ["audit", "verify", "--file", str(kept / "nowhere")]).exit_code == 1
    assert RUN.invoke(app, ["audit", "verify", "--file", str(kept / "export"), "--key", "abc"]).exit_code == 1
    assert (
        RUN.invoke(app, ["audit", "verify", "--file", str(kept / "export"), "--head", str(kept / "key")]).exit_code == 1
    )
