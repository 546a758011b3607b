"""An OpenAI-compatible HTTP server that answers what it was told to, for tests and demonstrations of the protocol.

It is a real server on a real loopback socket; only the wit is missing. It runs out of answers loudly.
"""

import json
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from models.base import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error in OpenAI's form."""

    status: int
    message: str = "refused"


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer until the server is closed."""


@dataclass(frozen=True, slots=True)
class Cut:
    """An answer that ran out of tokens."""

    text: str


Scripted = str | Refusal | Hang | Cut


@dataclass(frozen=True, slots=True)
class Recorded:
    path: str
    headers: dict[str, str]  # names in lower case
    body: JsonObject

    @property
    def text(self) -> str:
        """All of the request as one string, to look for what must not be in it."""
        return json.dumps({"headers": self.headers, "body": self.body}, ensure_ascii=False)


@dataclass
class ScriptedServer:
    """`with ScriptedServer(["first answer", Refusal(400)]) as server: …server.base_url…`"""

    answers: Sequence[Scripted] = ()
    models: tuple[str, ...] = ("scripted-model",)
    requests: list[Recorded] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._queue: deque[Scripted] = deque(self.answers)
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.script = self
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def then(self, *answers: Scripted) -> None:
        """Queue more answers."""
        with self._lock:
            self._queue.extend(answers)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(timeout=10)

    def take(self, recorded: Recorded) -> Scripted:
        with self._lock:
            self.requests.append(recorded)
            return self._queue.popleft() if self._queue else Refusal(HTTPStatus.GONE, "the script has no answer left")

    def wait_until_closing(self) -> None:
        self._closing.wait()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    script: ScriptedServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        if self.path.rstrip("/").endswith("/models"):
            data: list[JsonValue] = [{"id": name, "object": "model"} for name in self.server.script.models]
            self._send(HTTPStatus.OK, {"object": "list", "data": data})
        else:
            self._send(HTTPStatus.NOT_FOUND, {"error": {"message": f"no such path: {self.path}"}})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        recorded = Recorded(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        answer = self.server.script.take(recorded)
        match answer:
            case Hang():
                self.server.script.wait_until_closing()
                self.close_connection = True
            case Refusal(status, message):
                self._send(status, {"error": {"message": message, "type": "invalid_request_error", "code": None}})
            case Cut(text):
                self._send(HTTPStatus.OK, _completion(body, text, "length"))
            case str(text):
                self._send(HTTPStatus.OK, _completion(body, text, "stop"))

    def _send(self, status: int, body: JsonObject) -> None:
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing to standard error."""


def _completion(request: JsonObject, text: str, finish_reason: str) -> JsonObject:
    return {
        "id": "scripted",
        "object": "chat.completion",
        "created": 0,
        "model": request.get("model"),
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }
