"""`import --directory`: a folder of API descriptions as one import, which may be interrupted and resumed anywhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from rich.console import Console

from models.base import JsonObject, JsonValue
from planvault.cli.bulk_progress import BulkProgress, seconds
from planvault.cli.client import ApiClient
from planvault.cli.folder import FolderImport, SpecFile, spec_files
from planvault.cli.problem import ApiProblem
from planvault.errors import InvalidInput, Unavailable

_T = TypeVar("_T")

ROUTE = "bulk-imports"
ENDED = frozenset({"completed", "failed", "cancelled"})
_OPEN = ("uploading", "queued", "running")
_POLL_S = 0.5
_TRIES = 5  # of one document, or of one look at the progress: the platform may be restarting


class BulkImporting:
    """Sends a folder and watches its import. `pause` waits some seconds."""

    def __init__(self, api: ApiClient, console: Console, pause: Callable[[float], None] = time.sleep) -> None:
        self._api = api
        self._console = console
        self._pause = pause
        self.refused: dict[str, str] = {}  # path → why the API would not take it

    def run(self, asked: FolderImport) -> JsonObject:
        """The import's last state. Interrupted, it says how to go on."""
        files = spec_files(asked.folder)
        job = self._job(asked)
        job_id = str(job["id"])
        try:
            with BulkProgress(self._console) as progress:
                if job.get("status") == "uploading":
                    self._upload(job_id, files, progress)
                    self._may_prune(job)
                    job = self._patiently(lambda: self._api.admin("POST", f"{ROUTE}/{job_id}/start"))
                return self._watch(job_id, progress)
        except KeyboardInterrupt:
            self._console.print(f"Import {job_id}: go on with --resume, or end it: planvault imports cancel {job_id}")
            raise

    def _job(self, asked: FolderImport) -> JsonObject:
        last = self._last_open(asked.prefix)
        if asked.resume and last is None:
            raise InvalidInput("There is no open import to resume; leave out --resume to begin a new one.")
        if asked.resume and last is not None:
            return last
        if last is not None and last.get("status") == "uploading":
            self._console.print(f"Import {last.get('id')} was not finished; --resume would have gone on with it.")
        body: JsonObject = {"namePrefix": asked.prefix, "prune": asked.prune}
        return self._api.admin("POST", ROUTE, body=body)

    def _last_open(self, prefix: str) -> JsonObject | None:
        newest = self._api.admin("GET", ROUTE, query={"limit": 50}).get("items")
        jobs = [job for job in newest if isinstance(job, dict)] if isinstance(newest, list) else []
        return next((job for job in jobs if job.get("namePrefix") == prefix and job.get("status") in _OPEN), None)

    def _upload(self, job_id: str, files: Sequence[SpecFile], progress: BulkProgress) -> None:
        """Only what is not there yet, by its hash."""
        listed = f"{ROUTE}/{job_id}/documents"
        there = self._patiently(
            lambda: {one.get("path"): one.get("sha256") for one in self._api.pages(listed, limit=200)}
        )
        progress.uploading(len(files), sum(file.size for file in files))
        for file in files:
            try:
                file.path.encode()
                if file.path not in there or there[file.path] != file.sha256():
                    self._send(job_id, file)
            except UnicodeEncodeError:
                self.refused[ascii(file.path)] = "Its name is not UTF-8."
            except OSError as fault:
                self.refused[file.path] = f"It cannot be read: {fault.strerror}."
            progress.uploaded(file.size)

    def _may_prune(self, job: JsonObject) -> None:
        """To the platform a document that could not be sent is one that is no longer there."""
        if job.get("prune") and self.refused:
            reasons = "; ".join(f"{path}: {reason}" for path, reason in list(self.refused.items())[:5])
            raise InvalidInput(
                f"{len(self.refused)} documents could not be sent, and pruning would retire their tools. Put them "
                f"right and go on with --resume, or import without --prune. {reasons}"
            )

    def _send(self, job_id: str, file: SpecFile) -> None:
        def put() -> JsonObject:
            route, query = f"{ROUTE}/{job_id}/documents", {"path": file.path}
            return self._api.admin("PUT", route, query=dict(query), content=file.chunks())

        try:
            self._patiently(put)
        except ApiProblem as problem:
            if problem.status not in {413, 422}:
                raise
            self.refused[file.path] = problem.detail  # this document's fault: the others go on

    def _watch(self, job_id: str, progress: BulkProgress) -> JsonObject:
        while True:
            job = self._patiently(lambda: self._api.admin("GET", f"{ROUTE}/{job_id}"))
            progress.show(job)
            if job.get("status") in ENDED:
                return job
            self._pause(_POLL_S)

    def _patiently(self, call: Callable[[], _T]) -> _T:
        """A platform that restarts is waited for; a document sent twice is sent once."""
        for tried in range(1, _TRIES):
            try:
                return call()
            except Unavailable:
                self._pause(2.0**tried / 2)
            except ApiProblem as problem:
                if problem.status not in {429, 503}:
                    raise
                self._pause(2.0**tried / 2)
        return call()


def summary(job: Mapping[str, JsonValue], refused: Mapping[str, str]) -> list[str]:
    """What came of it, in lines."""
    documents, operations = _counts(job.get("documents")), _counts(job.get("operations"))
    turned_down = documents.get("refused", 0) + len(refused)
    lines = [
        f"{documents.get('total', 0):,} documents: "
        + ", ".join(f"{documents.get(key, 0):,} {key}" for key in ("stored", "unchanged"))
        + f", {turned_down:,} refused"
        + (f", {documents['vanished']:,} vanished" if documents.get("vanished") else ""),
        f"{_number(job.get('tools')):,} tools: " + ", ".join(f"{count:,} {key}" for key, count in operations.items()),
    ]
    timings = job.get("timings")
    if isinstance(timings, dict) and timings:
        took = {str(stage): float(value) for stage, value in timings.items() if isinstance(value, int | float)}
        lines.append("Took " + ", ".join(f"{seconds(value)} {stage}" for stage, value in took.items()))
    return lines


def has_refused(job: Mapping[str, JsonValue], refused: Mapping[str, str]) -> bool:
    documents, operations = _counts(job.get("documents")), _counts(job.get("operations"))
    return bool(refused or documents.get("refused") or operations.get("skipped"))


def _counts(value: JsonValue) -> dict[str, int]:
    return {key: _number(count) for key, count in value.items()} if isinstance(value, dict) else {}


def _number(value: JsonValue) -> int:
    return value if isinstance(value, int) else 0
