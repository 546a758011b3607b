"""The public API of a platform whose runs are scripted: what it was asked is kept, what it tells is given."""

import json
from collections.abc import Iterator

import httpx

from models.base import JsonObject
from models.events import HISTORY_ONLY
from planvault.cli.client import ApiClient

Told = tuple[str, JsonObject]


class ScriptedPlatform:
    """Streams `events` one by one, all but those that only the history has; actions get `verdicts` in turn, then 202.

    The seq of an event is its place in `events`, from 1. The history holds what has been streamed or passed over.
    `run` is the session's open run, if it has one; a resolution that is taken ends its question.
    """

    def __init__(self, events: list[Told]) -> None:
        self.events = events
        self.verdicts: list[httpx.Response] = []
        self.messages: list[str] = []
        self.actions: list[JsonObject] = []
        self.told = 0
        self.run: JsonObject | None = None

    def client(self) -> ApiClient:
        return ApiClient(
            "http://platform",
            project_id="p",
            project_key="k",
            transport=httpx.MockTransport(self._answer),
            pause=lambda _: None,
        )

    def _answer(self, request: httpx.Request) -> httpx.Response:
        match request.method, request.url.path.rpartition("/")[2]:
            case "POST", "messages":
                self.messages.append(json.loads(request.content)["message"])
                return httpx.Response(202, json={"status": "queued", "messageId": "m"})
            case "POST", "actions":
                self.actions.append(json.loads(request.content))
                return self.verdicts.pop(0) if self.verdicts else self._accepted(self.actions[-1])
            case "GET", "runs":
                return httpx.Response(200, json={"items": [self.run] if self.run else []})
            case "GET", run_id if "/runs/" in request.url.path:
                ended: JsonObject = {"id": run_id, "status": "completed", "isOpen": False, "pending": None}
                return httpx.Response(200, json=self.run or ended)
            case "GET", "history":
                reached = list(enumerate(self.events, 1))[: self.told]
                entries = [{"eventType": kind, "seq": seq, "payload": data} for seq, (kind, data) in reached]
                return httpx.Response(200, json={"events": entries})
            case _:
                stream = {"Content-Type": "text/event-stream"}
                return httpx.Response(200, headers=stream, content=self._stream(int(request.headers["Last-Event-ID"])))

    def _accepted(self, action: JsonObject) -> httpx.Response:
        if action["action"] == "resolve":
            self.run = None
        return httpx.Response(202, json={"status": "accepted", "action": action["action"], "runId": "r1"})

    def _stream(self, after: int) -> Iterator[bytes]:
        for seq, (kind, data) in enumerate(self.events, 1):
            if seq > after:
                self.told = max(self.told, seq)
                if kind not in HISTORY_ONLY:
                    yield f"id: {seq}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def problem(status: int, code: str, *details: str) -> httpx.Response:
    errors = [{"pointer": "/values", "detail": detail} for detail in details]
    return httpx.Response(status, json={"type": f"urn:planvault:problem:{code}", "detail": "no", "errors": errors})
