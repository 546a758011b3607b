"""`import --directory` against a scripted platform: what is sent, sent again and not sent, and how it ends."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from cluster import credentials
from cluster.credentials import Credentials
from models.base import JsonObject
from planvault.cli import catalog, imports_commands
from planvault.cli.bulk_import import BulkImporting
from planvault.cli.client import ApiClient
from planvault.cli.folder import FolderImport, spec_files
from planvault.cli.main import app
from planvault.errors import InvalidInput, Unavailable

HELD = Credentials(base_url="http://platform", org_id="o1", project_id="p1", project_key="k", admin_token="t")


class Platform:
    """The routes of bulk imports, in memory. `down` requests are not answered; `refusing` paths get a 413."""

    def __init__(self) -> None:
        self.jobs: list[JsonObject] = []
        self.sent: list[str] = []
        self.stored: dict[str, bytes] = {}
        self.down = 0
        self.refusing: set[str] = set()
        self.ends: JsonObject = {"status": "completed"}
        self.report: list[JsonObject] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.down > 0:
            self.down -= 1
            raise httpx.ConnectError("refused")
        what = request.url.path.removeprefix("/admin/v1/orgs/o1/bulk-imports")
        match request.method, what.rpartition("/")[2]:
            case "POST", "":
                self.jobs.insert(0, {"id": "j1", "status": "uploading", **json.loads(request.content)})
                return httpx.Response(201, json=self.jobs[0])
            case "GET", "":
                return httpx.Response(200, json={"items": self.jobs})
            case "PUT", "documents":
                return self._put(request.url.params["path"], request.content)
            case "GET", "documents":
                known = [
                    {"path": path, "sha256": hashlib.sha256(body).hexdigest()} for path, body in self.stored.items()
                ]
                return httpx.Response(200, json={"items": known, "nextCursor": None})
            case "GET", "report":
                return httpx.Response(200, json={"items": self.report, "nextCursor": None})
            case "POST", "start":
                self.jobs[0] = {**self.jobs[0], "status": "running"}
            case "POST", "cancel":
                self.jobs[0] = {**self.jobs[0], "status": "cancelled"}
            case _:
                self.jobs[0] = {**self.jobs[0], **self.ends}
        return httpx.Response(200, json=self.jobs[0])

    def _put(self, path: str, body: bytes) -> httpx.Response:
        if path in self.refusing:
            return httpx.Response(413, json={"type": "urn:planvault:problem:PAYLOAD_TOO_LARGE", "detail": "too large"})
        self.sent.append(path)
        self.stored[path] = body
        return httpx.Response(200, json={"path": path})

    def client(self, held: Credentials = HELD) -> ApiClient:
        return ApiClient(
            held.base_url,
            project_id=held.project_id,
            project_key=held.project_key,
            org_id=held.org_id,
            admin_token=held.admin_token,
            transport=httpx.MockTransport(self),
        )


@pytest.fixture
def platform(monkeypatch: pytest.MonkeyPatch) -> Platform:
    made = Platform()
    for module in (catalog, imports_commands):
        monkeypatch.setattr(module, "client", made.client)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for path in ("b.yaml", "a/shop.json", ".hidden/x.json", "a/readme.txt", "c.YML"):
        (tmp_path / "specs" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "specs" / path).write_text(f"openapi: 3.1.0 # {path}")
    return tmp_path / "specs"


@pytest.fixture
def planvault(tmp_path: Path) -> Callable[..., Result]:
    credentials.write(tmp_path / "credentials.json", HELD)
    environment = {"PLANVAULT_DATA_DIR": str(tmp_path), "COLUMNS": "200"}
    return lambda *arguments: CliRunner().invoke(app, list(arguments), env=environment)


def importing(platform: Platform) -> BulkImporting:
    return BulkImporting(platform.client(), Console(quiet=True), pause=lambda _: None)


def test_the_specs_of_a_folder_are_found_at_any_depth_in_order(folder: Path, tmp_path: Path) -> None:
    assert [one.path for one in spec_files(folder)] == ["a/shop.json", "b.yaml", "c.YML"]
    (tmp_path / "empty").mkdir()
    for wrong in (tmp_path / "empty", tmp_path / "missing"):
        with pytest.raises(InvalidInput):
            spec_files(wrong)


def test_every_document_is_sent_and_then_the_import_starts(platform: Platform, folder: Path) -> None:
    job = importing(platform).run(FolderImport(folder, "oad", prune=True))
    assert (job["status"], job["namePrefix"], job["prune"]) == ("completed", "oad", True)
    assert platform.stored["b.yaml"] == b"openapi: 3.1.0 # b.yaml"
    assert platform.sent == ["a/shop.json", "b.yaml", "c.YML"]


def test_resuming_sends_only_what_is_missing_or_has_changed(platform: Platform, folder: Path) -> None:
    platform.jobs = [{"id": "j1", "status": "uploading", "namePrefix": ""}]
    platform.stored = {"a/shop.json": b"older", "b.yaml": b"openapi: 3.1.0 # b.yaml"}
    importing(platform).run(FolderImport(folder, resume=True))
    assert platform.sent == ["a/shop.json", "c.YML"]


def test_resuming_an_import_that_runs_only_watches_it(platform: Platform, folder: Path) -> None:
    platform.jobs = [{"id": "j1", "status": "running", "namePrefix": ""}]
    assert importing(platform).run(FolderImport(folder, resume=True))["status"] == "completed"
    assert platform.sent == []


def test_without_an_open_import_of_that_prefix_there_is_nothing_to_resume(platform: Platform, folder: Path) -> None:
    platform.jobs = [
        {"id": "j2", "status": "uploading", "namePrefix": "other"},
        {"id": "j1", "status": "completed", "namePrefix": ""},
    ]
    with pytest.raises(InvalidInput, match="no open import"):
        importing(platform).run(FolderImport(folder, resume=True))


def test_a_platform_that_restarts_is_waited_for_but_not_for_ever(platform: Platform, folder: Path) -> None:
    job = importing(platform)
    platform.jobs = [{"id": "j1", "status": "uploading", "namePrefix": ""}]
    last_open = job._last_open

    def down_after_that(prefix: str) -> JsonObject | None:
        found = last_open(prefix)
        platform.down = 4
        return found

    job._last_open = down_after_that  # type: ignore[method-assign]
    assert job.run(FolderImport(folder, resume=True))["status"] == "completed"
    platform.down = 100
    with pytest.raises(Unavailable):
        importing(platform).run(FolderImport(folder))


def test_a_document_that_the_platform_will_not_take_costs_only_itself(
    platform: Platform, folder: Path, planvault: Callable[..., Result]
) -> None:
    platform.refusing = {"b.yaml"}
    result = planvault("import", "--directory", str(folder))
    assert result.exit_code == 0
    assert "not sent: b.yaml: too large" in result.stdout
    assert platform.sent == ["a/shop.json", "c.YML"]
    assert planvault("import", "--directory", str(folder), "--strict").exit_code == 1


@pytest.mark.parametrize(
    ("ends", "arguments", "status"),
    [
        ({"status": "completed", "documents": {"total": 3, "stored": 2, "refused": 1}}, (), 0),
        ({"status": "completed", "documents": {"total": 3, "stored": 2, "refused": 1}}, ("--strict",), 1),
        ({"status": "completed", "operations": {"created": 9, "skipped": 1}}, ("--strict",), 1),
        ({"status": "completed", "operations": {"created": 9, "skipped": 0}}, ("--strict",), 0),
        ({"status": "failed", "error": "tried 10 times"}, (), 1),
        ({"status": "cancelled"}, (), 1),
    ],
)
def test_the_exit_status_tells_how_it_ended(
    platform: Platform,
    folder: Path,
    planvault: Callable[..., Result],
    ends: JsonObject,
    arguments: tuple[str, ...],
    status: int,
) -> None:
    platform.ends = ends
    result = planvault("import", "--directory", str(folder), *arguments)
    assert result.exit_code == status, result.output


def test_the_report_is_written_as_a_table_or_as_lines(
    platform: Platform, folder: Path, planvault: Callable[..., Result], tmp_path: Path
) -> None:
    platform.report = [
        {"path": "a.json", "operation": None, "outcome": "refused", "tool": None, "problems": ["=HYPERLINK(1)"]}
    ]
    assert planvault("import", "--directory", str(folder), "--report", str(tmp_path / "r.csv")).exit_code == 0
    assert (tmp_path / "r.csv").read_text().splitlines() == [
        "path,operation,outcome,tool,problems",
        "a.json,,refused,,'=HYPERLINK(1)",
    ]
    assert planvault("imports", "report", "j1", "--to", str(tmp_path / "r.jsonl")).exit_code == 0
    assert json.loads((tmp_path / "r.jsonl").read_text()) == platform.report[0]
    assert json.loads(planvault("imports", "report", "j1").stdout) == platform.report[0]


def test_imports_are_listed_and_cancelled(platform: Platform, planvault: Callable[..., Result]) -> None:
    platform.jobs = [{"id": "j1", "status": "running", "namePrefix": "oad", "documents": {"total": 7}}]
    assert "oad" in planvault("imports", "list").stdout
    assert planvault("imports", "cancel", "j1").exit_code == 0
    assert platform.jobs[0]["status"] == "cancelled"


@pytest.mark.parametrize(
    "arguments",
    [(), ("spec.json", "--directory", "x"), ("spec.json", "--resume"), ("--directory", "x", "--name", "shop")],
)
def test_options_that_do_not_go_together_are_refused(
    platform: Platform, planvault: Callable[..., Result], arguments: tuple[str, ...]
) -> None:
    result = planvault("import", *arguments)
    assert result.exit_code == 1
    assert "Traceback" not in result.output
