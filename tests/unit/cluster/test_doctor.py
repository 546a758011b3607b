"""What the doctor finds, and how bad it says it is."""

from importlib import metadata
from pathlib import Path
from uuid import UUID

import pytest

from cluster import credentials, doctor
from cluster.credentials import Credentials
from cluster.doctor import Finding, examine
from planvault.crypto.keyset import load_or_create
from planvault.settings import Settings
from planvault.storage.files.folder import EventFolder
from tests.integration.crypto.vault_server import vault_server

KEYS = "key providers"


def by_subject(found: list[Finding]) -> dict[str, Finding]:
    return {finding.subject: finding for finding in found}


def settings(data_dir: Path, **chosen: str | Path) -> Settings:
    return Settings.model_validate({"data_dir": data_dir, "database_url": "", "redis_url": "", **chosen})


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(doctor, "server_user", lambda: None)  # pytest's folders are closed, as any home
    return tmp_path / "data"


def test_a_sound_machine_has_nothing_fatal_and_nothing_is_made(data_dir: Path) -> None:
    found = examine(settings(data_dir))
    assert [finding for finding in found if finding.verdict == "failed"] == []
    assert not data_dir.exists()


def test_exposed_credentials_are_fatal(data_dir: Path) -> None:
    data_dir.mkdir()
    held = Credentials(base_url="http://pv", org_id="o", project_id="p", project_key="k", admin_token="t")
    credentials.write(data_dir / "credentials.json", held)
    (data_dir / "credentials.json").chmod(0o644)
    finding = by_subject(examine(settings(data_dir)))["credentials"]
    assert finding.verdict == "failed"
    assert "chmod 600" in finding.detail


def test_somebody_elses_directory_is_fatal(data_dir: Path) -> None:
    data_dir.mkdir()
    (data_dir / "thesis.txt").write_text("")
    assert by_subject(examine(settings(data_dir)))["data directory"].verdict == "failed"


def test_a_file_in_the_directorys_place_is_a_finding_and_no_surprise(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    assert by_subject(examine(settings(file)))["data directory"].verdict == "failed"


def test_a_database_that_does_not_answer_is_fatal_and_its_password_is_not_told(data_dir: Path) -> None:
    finding = by_subject(examine(settings(data_dir, database_url="postgresql://app:hunter2@127.0.0.1:1/app")))[
        "database"
    ]
    assert finding.verdict == "failed"
    assert "hunter2" not in finding.detail


def test_another_ray_is_fatal(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "2.59.1" if name == "ray" else real(name))
    assert by_subject(examine(settings(data_dir)))["ray"].verdict == "failed"


def test_little_memory_and_disk_are_warnings(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MEMORY_NEEDED_MIB", 10**9)
    monkeypatch.setattr(doctor, "DISK_NEEDED_MIB", 10**12)
    found = by_subject(examine(settings(data_dir)))
    assert (found["memory"].verdict, found["disk"].verdict) == ("warning", "warning")


def test_a_redis_that_does_not_answer_is_a_warning_and_its_password_is_not_told(data_dir: Path) -> None:
    finding = by_subject(examine(settings(data_dir, redis_url="redis://:hunter2@127.0.0.1:1/0")))["redis"]
    assert finding.verdict == "warning"
    assert "hunter2" not in finding.detail


def test_no_redis_is_fine(data_dir: Path) -> None:
    assert by_subject(examine(settings(data_dir)))["redis"].verdict == "ok"


def test_session_events_in_rows_need_no_folder(data_dir: Path) -> None:
    finding = by_subject(examine(settings(data_dir)))["session events"]
    assert (finding.verdict, "rows" in finding.detail) == ("ok", True)


def test_the_folder_of_session_events_is_looked_at(data_dir: Path, tmp_path: Path) -> None:
    folder = tmp_path / "events"

    def finding() -> Finding:
        return by_subject(examine(settings(data_dir, session_store="file", events_dir=folder)))["session events"]

    assert "will be made" in finding().detail
    EventFolder(folder).belongs_to(UUID(int=1))
    assert finding().verdict == "ok"
    folder.chmod(0o755)
    assert (finding().verdict, "chmod 0700" in finding().detail) == ("failed", True)
    folder.chmod(0o700)
    (folder / "store.json").unlink()
    assert (finding().verdict, "backup" in finding().detail) == ("failed", True)
    (folder / "store.json").write_text("no label")
    assert finding().verdict == "failed"


def test_a_key_provider_that_refuses_is_fatal_and_says_why(data_dir: Path) -> None:
    with vault_server() as vault:
        chosen = {"kek_provider": "vault-transit", "kek_vault_address": vault.url}
        [refused] = [f for f in examine(settings(data_dir, **chosen, kek_vault_token="old")) if f.subject == KEYS]
        [works] = [f for f in examine(settings(data_dir, **chosen, kek_vault_token="token")) if f.subject == KEYS]
    assert (refused.verdict, works.verdict) == ("failed", "ok")
    assert "permission denied" in refused.detail
    assert "old" not in refused.detail
    assert not data_dir.exists()


def test_a_provider_that_only_unwraps_what_is_left_is_a_warning_while_it_is_away(data_dir: Path) -> None:
    chosen = {"kek_vault_address": "http://127.0.0.1:1", "kek_vault_token": "token"}
    keyset = data_dir.parent / "keyset.json"
    load_or_create(keyset)
    found = [f for f in examine(settings(data_dir, keyset_path=keyset, **chosen)) if f.subject == KEYS]
    assert [finding.verdict for finding in found] == ["ok", "warning"]


@pytest.mark.parametrize(("setting", "says"), [("", "region"), ("not a url", "Invalid endpoint")])
def test_a_kms_that_the_settings_do_not_say_how_to_reach_is_told_in_words(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch, setting: str, says: str
) -> None:
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(data_dir / "none"))
    chosen = {"kek_provider": "aws-kms", "kek_aws_key": "alias/planvault", "kek_aws_endpoint": setting}
    if setting:
        chosen["kek_aws_region"] = "eu-central-1"
    [found] = [f for f in examine(settings(data_dir, **chosen)) if f.subject == KEYS]
    assert found.verdict == "failed"
    assert says in found.detail
    assert "PLANVAULT_KEK_AWS_" in found.detail
