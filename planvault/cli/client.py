"""A thin client of the public API: what `planvault demo`, `chat`, `import`, `runs` and `keys` speak.

It knows routes and wire names and nothing of the platform's inside. JSON goes in and out as the API documents it.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeAlias

import httpx
from httpx_sse import EventSource, SSEError
from pydantic import TypeAdapter

from models.base import JsonObject, JsonValue
from planvault.cli.problem import ApiProblem, objects
from planvault.clock import TimeOrderedIds
from planvault.errors import Unavailable
from planvault.ports import Ids

Query: TypeAlias = dict[str, str | int]

# A live stream is never silent for long: the server pings. Twice its interval means that it is gone.
STREAM_SILENCE_S = 60.0
TERMINAL = frozenset({"done", "error"})
_LIMITED_TRIES = 5
_LONGEST_WAIT_S = 60.0

_OBJECT: TypeAdapter[JsonObject] = TypeAdapter(JsonObject)


@dataclass(frozen=True, slots=True)
class SessionEvent:
    """One event of a session's chat stream. `id` is its history sequence number, 0 for a ping."""

    id: int
    type: str
    data: JsonObject


class ApiClient:
    """One project of one platform. Raises ApiProblem for a refusal, Unavailable where nobody answers.

    `admin_token` is needed by the Admin API only (imports, keys); `operator` names the person behind the project's key.
    POSTs carry an Idempotency-Key, fresh for each call.
    """

    def __init__(
        self,
        base_url: str,
        *,
        project_id: str,
        project_key: str,
        org_id: str = "",
        admin_token: str = "",
        operator: str = "",
        ids: Ids | None = None,
        transport: httpx.BaseTransport | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._runtime = f"/api/v1/projects/{project_id}"
        self._admin = f"/admin/v1/orgs/{org_id}"
        self._project_id = project_id
        self._project_auth = {"Authorization": f"Bearer {project_key}"}
        self._admin_auth = {"Authorization": f"Bearer {admin_token}"}
        if operator:
            self._project_auth["X-Operator-Id"] = self._admin_auth["X-Operator-Id"] = operator
        self._ids = ids or TimeOrderedIds()
        self._pause = pause
        self._http = httpx.Client(base_url=base_url, timeout=httpx.Timeout(30.0, connect=5.0), transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # ── Runtime API ──────────────────────────────────────────────────────────────────────────────────────────────────

    def health(self) -> JsonObject:
        """Readiness with its parts. A platform that is not ready answers 503 with the same body."""
        return _OBJECT.validate_json(self._send("GET", "/health", {}, accept=(503,)).content)

    def create_session(self, body: JsonObject | None = None) -> JsonObject:
        return self._post(f"{self._runtime}/sessions", body or {})

    def put_secrets(self, session_id: str, secrets: Mapping[str, str]) -> None:
        self._send(
            "PUT", f"{self._runtime}/sessions/{session_id}/secrets", self._project_auth, body={"secrets": dict(secrets)}
        )

    def close_session(self, session_id: str) -> None:
        self._send("PATCH", f"{self._runtime}/sessions/{session_id}", self._project_auth, body={"status": "closed"})

    def send_message(self, session_id: str, text: str) -> JsonObject:
        return self._post(f"{self._runtime}/sessions/{session_id}/messages", {"message": text})

    def act(self, session_id: str, action: str, **fields: JsonValue) -> JsonObject:
        """Answer a run's open question: `approve`, `reject`, `fill_slots` (`values=…`), `cancel`, `resolve`, …

        Fields are wire names: `runId`, `values`, `reason`, `planHash`, `resolution`, `result`, `correlationId`.
        """
        return self._post(f"{self._runtime}/sessions/{session_id}/actions", {"action": action, **fields})

    def give_feedback(self, session_id: str, run_id: str, value: str, comment: str = "") -> JsonObject:
        """`value`: like or dislike, of a run that has ended; another vote of the same person replaces it."""
        body: JsonObject = {"runId": run_id, "value": value, "comment": comment}
        return self._post(f"{self._runtime}/sessions/{session_id}/feedback", body)

    def events(self, session_id: str, last_event_id: int = 0) -> Iterator[SessionEvent]:
        """One connection to the chat stream: every event after `last_event_id`, live, until the server hangs up."""
        headers = self._project_auth | {"Accept": "text/event-stream", "Last-Event-ID": str(last_event_id)}
        timeout = httpx.Timeout(STREAM_SILENCE_S, connect=5.0)
        url = f"{self._runtime}/sessions/{session_id}/chat"
        try:
            with self._http.stream("GET", url, headers=_utf_8(headers), timeout=timeout) as response:
                if response.is_error:
                    response.read()
                    raise ApiProblem(response)
                if response.status_code == httpx.codes.NO_CONTENT:
                    return  # the session is closed and all of it was seen
                for event in EventSource(response).iter_sse():
                    kind = event.event or "message"
                    data = _OBJECT.validate_json(event.data) if event.data else {}
                    yield SessionEvent(int(event.id) if event.id.isdigit() and kind != "ping" else 0, kind, data)
        except (httpx.TransportError, SSEError) as error:
            raise Unavailable(f"The chat stream of session {session_id} broke: {error}.") from error

    def follow(
        self,
        session_id: str,
        last_event_id: int = 0,
        *,
        until: frozenset[str] = TERMINAL,
        reconnects: int = 5,
    ) -> Iterator[SessionEvent]:
        """Events after `last_event_id` up to and with the first of `until`; a broken stream resumes where it stopped.

        An `error` is followed by a `done`: who stops at `error` meets that `done` when following the next prompt.
        Raises Unavailable when `reconnects` connections in a row brought nothing new.
        """
        seen, idle = last_event_id, 0
        while True:
            try:
                for event in self.events(session_id, seen):
                    if event.id:
                        seen, idle = event.id, 0
                    yield event
                    if event.type in until:
                        return
            except Unavailable:
                if idle >= reconnects:
                    raise
            idle += 1
            if idle > reconnects:
                raise Unavailable(f"The chat stream of session {session_id} ended before its run did.")
            self._pause(min(2.0, 0.1 * 2**idle))

    def history(self, session_id: str) -> list[JsonObject]:
        """The newest 1,000 history events in order."""
        return objects(self._get(f"{self._runtime}/sessions/{session_id}/history"), "events")

    def newest_seq(self, session_id: str) -> int:
        """Where the history stands now: to follow from here is to see only what comes."""
        seqs = [entry.get("seq") for entry in self.history(session_id)]
        return max((seq for seq in seqs if isinstance(seq, int)), default=0)

    def runs(self, session_id: str) -> list[JsonObject]:
        return objects(self._get(f"{self._runtime}/sessions/{session_id}/runs"), "items")

    def open_run(self, session_id: str) -> JsonObject | None:
        """The run that the session's next prompt would wait for."""
        return next((run for run in self.runs(session_id) if run.get("isOpen") is True), None)

    def run(self, session_id: str, run_id: str) -> JsonObject:
        return self._get(f"{self._runtime}/sessions/{session_id}/runs/{run_id}")

    def sessions(self, **filters: str | int) -> list[JsonObject]:
        """Newest first; filters are wire names: `limit`, `cursor`, `tag`, `status`."""
        return objects(self._get(f"{self._runtime}/sessions", query=filters), "items")

    def tools(self) -> list[JsonObject]:
        """Every tool that the project has enabled, page by page."""
        found: list[JsonObject] = []
        query: Query = {"limit": 200}
        while True:
            page = self._get(f"{self._runtime}/tools", query=query)
            found += objects(page, "items")
            cursor = page.get("nextCursor")
            if not isinstance(cursor, str):
                return found
            query["cursor"] = cursor

    def integrations(self) -> list[JsonObject]:
        return objects(self._get(f"{self._runtime}/tools", query={"type": "integration"}), "items")

    def set_integration(self, alias: str, **fields: JsonValue) -> JsonObject:
        """Replace the project's decisions: `enabled`, `approvalPolicy`, `auth` (header → template with handles)."""
        path = f"{self._runtime}/tools/integrations/{alias}"
        response = self._send("PUT", path, self._project_auth, body=dict(fields))
        return _OBJECT.validate_json(response.content)

    def test_selection(self, query: str, **options: JsonValue) -> JsonObject:
        """A dry run; options are wire names: `maxTools`, `strategy`, `candidates`."""
        return self._post(f"{self._runtime}/tools/test-selection", {"query": query, **options})

    def create_job(self, body: JsonObject) -> JsonObject:
        """Schedule a prompt: `prompt` and one of `runAt`, `delaySeconds` and `recurrence`, in wire names."""
        return self._post(f"{self._runtime}/scheduled-jobs", body)

    def scheduled_jobs(self, **filters: str | int) -> list[JsonObject]:
        """Newest first; filters are wire names: `limit`, `cursor`, `status`, `target`, `sessionId`, `recurring`."""
        return objects(self._get(f"{self._runtime}/scheduled-jobs", query=filters), "items")

    def scheduled_job(self, job_id: str) -> JsonObject:
        return self._get(f"{self._runtime}/scheduled-jobs/{job_id}")

    def job_occurrences(self, job_id: str) -> list[JsonObject]:
        """The newest 50 times that the job was due, latest first."""
        return objects(self._get(f"{self._runtime}/scheduled-jobs/{job_id}/occurrences"), "items")

    def cancel_job(self, job_id: str) -> JsonObject:
        return self._post(f"{self._runtime}/scheduled-jobs/{job_id}/cancel", {})

    # ── Admin API ────────────────────────────────────────────────────────────────────────────────────────────────────

    def import_spec(
        self,
        name: str,
        *,
        base_url: str | None = None,
        display_name: str = "",
        spec: JsonObject | str | None = None,
        spec_url: str | None = None,
    ) -> JsonObject:
        """Start the import of an OpenAPI document given whole or by URL; answers `{toolId, importId}`.

        Without `base_url` the platform takes the document's first server.
        """
        body = _description(name, base_url, spec, spec_url) | {"displayName": display_name or name}
        return self._post(f"{self._admin}/tools", body, admin=True)

    def reimport_spec(
        self,
        tool_id: str,
        name: str,
        *,
        base_url: str | None = None,
        spec: JsonObject | str | None = None,
        spec_url: str | None = None,
    ) -> JsonObject:
        """Replace the document of an integration, `name` being its alias; without `base_url` it keeps its own."""
        body = _description(name, base_url, spec, spec_url)
        response = self._send("PUT", f"{self._admin}/tools/{tool_id}", self._admin_auth, body=body)
        return _OBJECT.validate_json(response.content)

    def registered(self) -> list[JsonObject]:
        """Every integration of the organisation: `{toolId, name, baseUrl, version, …}`."""
        return list(self.pages("tools"))

    def pages(self, route: str, **query: str | int) -> Iterator[JsonObject]:
        """Every entry of a list of the Admin API, page by page."""
        cursor: JsonValue = None
        while True:
            page = self.admin("GET", route, query=query | ({"cursor": str(cursor)} if cursor else {}))
            yield from objects(page, "items")
            cursor = page.get("nextCursor")
            if cursor is None:
                return

    def import_status(self, import_id: str) -> JsonObject:
        """`{status, total, done, report[], error?}`."""
        return self._get(f"{self._admin}/imports/{import_id}", admin=True)

    def delete_integration(self, tool_id: str) -> None:
        """Remove an imported integration with its tools; `tool_id` is the `toolId` of its import."""
        self._send("DELETE", f"{self._admin}/tools/{tool_id}", self._admin_auth)

    def delete_scenario(self, scenario_id: str) -> None:
        self._send("DELETE", f"{self._admin}/scenarios/{scenario_id}", self._admin_auth)

    def keys(self) -> list[JsonObject]:
        return objects(self._get(f"{self._admin}/projects/{self._project_id}/keys", admin=True), "items")

    def create_key(self, name: str, scopes: Sequence[str], **more: JsonValue) -> JsonObject:
        """The answer holds the key's plaintext, this once. `more`: `expiresAt`, `primary`."""
        body: JsonObject = {"name": name, "scopes": list(scopes), **more}
        return self._post(f"{self._admin}/projects/{self._project_id}/keys", body, admin=True)

    def rotate_key(self, key_id: str, grace_s: int = 0) -> JsonObject:
        """The answer holds the new plaintext, this once; the old one opens for `grace_s` seconds more."""
        body: JsonObject = {"graceSeconds": grace_s}
        return self._post(f"{self._admin}/projects/{self._project_id}/keys/{key_id}/rotate", body, admin=True)

    def revoke_key(self, key_id: str) -> None:
        self._send("DELETE", f"{self._admin}/projects/{self._project_id}/keys/{key_id}", self._admin_auth)

    def admin(
        self,
        method: str,
        route: str,
        *,
        body: JsonObject | None = None,
        query: Query | None = None,
        content: Iterable[bytes] | None = None,
    ) -> JsonObject:
        """Any call of the organisation's Admin API, by its route below the organisation. No answer is {}."""
        headers = self._admin_auth if method != "POST" else self._admin_auth | {"Idempotency-Key": str(self._ids.new())}
        response = self._send(method, f"{self._admin}/{route}", headers, body=body, query=query, content=content)
        return _OBJECT.validate_json(response.content) if response.content else {}

    # ── plumbing ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _get(self, path: str, *, query: Query | None = None, admin: bool = False) -> JsonObject:
        auth = self._admin_auth if admin else self._project_auth
        return _OBJECT.validate_json(self._send("GET", path, auth, query=query).content)

    def _post(self, path: str, body: JsonObject, *, admin: bool = False) -> JsonObject:
        auth = self._admin_auth if admin else self._project_auth
        headers = auth | {"Idempotency-Key": str(self._ids.new())}
        return _OBJECT.validate_json(self._send("POST", path, headers, body=body).content)

    def _send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        body: JsonObject | None = None,
        query: Query | None = None,
        content: Iterable[bytes] | None = None,
        accept: tuple[int, ...] = (),
    ) -> httpx.Response:
        for tried in range(1, _LIMITED_TRIES + 1):
            try:
                response = self._http.request(
                    method, path, headers=_utf_8(headers), json=body, params=query, content=content
                )
            except httpx.TransportError as error:
                raise Unavailable(f"No answer from {self._http.base_url}: {error}. Is the platform up?") from error
            if not response.is_error or response.status_code in accept:
                break
            problem = ApiProblem(response)
            # It has done nothing. What was streamed is not there any more: who streams repeats.
            if problem.status != httpx.codes.TOO_MANY_REQUESTS or content is not None or tried == _LIMITED_TRIES:
                raise problem
            self._pause(min(problem.retry_after_s, _LONGEST_WAIT_S))
        return response


def _utf_8(headers: Mapping[str, str]) -> httpx.Headers:
    """People have names beyond ASCII."""
    return httpx.Headers(headers, encoding="utf-8")


def _description(name: str, base_url: str | None, spec: JsonObject | str | None, spec_url: str | None) -> JsonObject:
    body: JsonObject = {"name": name, "specUrl": spec_url} if spec is None else {"name": name, "openApiSpec": spec}
    return body if base_url is None else body | {"baseUrl": base_url}
