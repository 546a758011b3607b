"""`import --directory` against a scripted API: what is sent, what is not, and what may then be retired."""

import hashlib
import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from planvault.cli.bulk_import import BulkImporting
from planvault.cli.client import ApiClient
from planvault.cli.folder import FolderImport, spec_files
from planvault.errors import InvalidInput

_DOCUMENTS = re.compile(r".*/bulk-imports/j1/documents")


class Platform:
    """Takes documents, all but those in `refuses`; a started import is completed at once."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.job: dict[str, Any] = {}
        self.refuses: frozenset[str] = frozenset()
        self.sent: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def client(self) -> ApiClient:
        transport = httpx.MockTransport(self._answer)
        return ApiClient("http://pv", project_id="p", project_key="k", org_id="o", admin_token="t", transport=transport)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if _DOCUMENTS.fullmatch(request.url.path):
            return self._document(request) if request.method == "PUT" else httpx.Response(200, json=self._listed())
        if request.url.path.endswith("/start"):
            self.job["status"] = "completed"
        elif request.method == "POST":
            self.meanwhile()
            self.job = {"id": "j1", "status": "uploading", **httpx.Response(200, content=request.read()).json()}
        elif request.url.path.endswith("/bulk-imports"):
            return httpx.Response(200, json={"items": [self.job] if self.job else [], "nextCursor": None})
        return httpx.Response(200, json=self.job)

    def _document(self, request: httpx.Request) -> httpx.Response:
        path = request.url.params["path"]
        if path in self.refuses:
            return httpx.Response(413, json={"detail": "too large"})
        self.sent.append(path)
        self.documents[path] = request.read()
        return httpx.Response(200, json={})

    def _listed(self) -> dict[str, Any]:
        items = [{"path": path, "sha256": hashlib.sha256(body).hexdigest()} for path, body in self.documents.items()]
        return {"items": items, "nextCursor": None}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    for name in ("a.json", "B.YML", "deep/er/c.yaml", "notes.txt", ".hidden.json"):
        (tmp_path / name).write_text(name)
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere.json")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "folder.json").mkdir()
    return tmp_path


@pytest.fixture
def platform() -> Platform:
    return Platform()


def importing(platform: Platform) -> BulkImporting:
    return BulkImporting(platform.client(), Console(file=io.StringIO()), pause=lambda _: None)


def test_only_documents_are_sent_each_once_also_where_links_lead_round(folder: Path, platform: Platform) -> None:
    job = importing(platform).run(FolderImport(folder))
    assert job["status"] == "completed"
    assert platform.sent == ["B.YML", "a.json", "deep/er/c.yaml"]


def test_resumed_it_sends_what_is_missing_or_has_changed(folder: Path, platform: Platform) -> None:
    platform.job = {"id": "j1", "status": "uploading", "namePrefix": "", "prune": False}
    platform.documents = {"a.json": b"a.json", "B.YML": b"older"}
    importing(platform).run(FolderImport(folder, resume=True))
    assert platform.sent == ["B.YML", "deep/er/c.yaml"]


def test_a_file_that_cannot_be_read_costs_only_itself(folder: Path, platform: Platform) -> None:
    platform.meanwhile = lambda: (folder / "a.json").unlink()
    doing = importing(platform)
    doing.run(FolderImport(folder))
    assert platform.sent == ["B.YML", "deep/er/c.yaml"]
    assert list(doing.refused) == ["a.json"]


def test_a_name_that_is_no_text_is_not_sent_and_can_be_printed(folder: Path, platform: Platform) -> None:
    (folder / os.fsdecode(b"\xff.json")).write_text("x")
    doing = importing(platform)
    doing.run(FolderImport(folder))
    [name] = doing.refused
    assert ".json" in name.encode().decode()
    assert len(platform.sent) == 3


def test_nothing_is_retired_for_a_document_that_could_not_be_sent(folder: Path, platform: Platform) -> None:
    platform.refuses = frozenset({"a.json"})
    with pytest.raises(InvalidInput, match=r"a\.json"):
        importing(platform).run(FolderImport(folder, prune=True))
    assert platform.job["status"] == "uploading", "it was started without a document whose tools it then retires"
    assert importing(platform).run(FolderImport(folder))["status"] == "completed"


def test_a_folder_that_cannot_be_listed_is_an_error_and_not_empty(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def closed(path: str) -> Any:
        if str(path).endswith("er"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(InvalidInput, match="deep/er"):
        spec_files(folder)
