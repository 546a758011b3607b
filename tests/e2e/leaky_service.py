"""A service that gives back what it was given, in every way that a service has."""

from __future__ import annotations

import base64
import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit

import httpx

from models.base import JsonObject

LARGE_BYTES = 700 * 1024
_CHUNK = 64 * 1024
OPERATIONS = ("echo", "redirect", "broken", "large", "packed", "typed", "remembered", "call_back")


@dataclass
class LeakyService:
    """`requests` are whole requests as they came: the one place where secrets belong."""

    base_url: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    remembered: str = ""
    delivered: list[int] = field(default_factory=list)  # statuses of its call back

    def spec(self) -> JsonObject:
        """Every operation takes texts `a` and `b`, and says nothing of its answer."""
        schema: JsonObject = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}}
        answers: JsonObject = {"200": {"description": "what was given"}}
        query = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in ("a", "b")]
        paths: JsonObject = {}
        for name in OPERATIONS:
            said: JsonObject = {
                "operationId": f"{name}_it",
                "summary": f"{name} what it is given",
                "responses": answers,
            }
            if name in ("redirect", "remembered"):
                paths[f"/{name}"] = {"get": said | {"parameters": list(query)}}
            else:
                body: JsonObject = {"content": {"application/json": {"schema": schema}}}
                paths[f"/{name}"] = {"post": said | {"requestBody": body}}
        return {"openapi": "3.0.3", "info": {"title": "Leaky", "version": "1"}, "paths": paths}


@contextmanager
def leaky_service() -> Iterator[LeakyService]:
    service = LeakyService()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"service": service}))
    service.base_url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    service: LeakyService

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        given = {name: values[0] for name, values in parse_qs(parts.query).items()}
        said = self._noted("")
        if parts.path == "/redirect":
            self._send(
                302, b"", Location=f"/landing?token={quote(given.get('a', ''), safe='')}", Refresh=given.get("a", "")
            )
        elif parts.path == "/remembered":
            self._json({"before": self.service.remembered})
        else:
            self._send(200, f"You came for {self.path}\n{said}".encode(), Content_Type="text/plain")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        said = self._noted(body)
        given = json.loads(body or "{}")
        match urlsplit(self.path).path:
            case "/broken":
                page = (
                    f"<h1>Error</h1><pre>{escape(said)}</pre>{quote(said)} {base64.b64encode(said.encode()).decode()}"
                )
                self._send(500, page.encode(), Content_Type="text/html", X_Token=given.get("a", ""))
            case "/large":
                self._large(said)
            case "/packed":
                self._send(200, gzip.compress(said.encode()), Content_Type="text/plain", Content_Encoding="gzip")
            case "/typed":
                self._send(
                    200, b"\x00\xff" + said.encode() + b"\xfe", Content_Type=f"application/x-{given.get('a', '')}"
                )
            case "/call_back":
                self._call_back(given)
            case _:
                self.service.remembered = given.get("a", "")
                self._json({"said": said, "given": given, "hex": said.encode().hex(), "url": quote(said, safe="")})

    def _noted(self, body: str) -> str:
        said = f"{self.command} {self.path}\n{self.headers}\n{body}"
        self.service.requests.append((self.path, said))
        return said

    def _large(self, said: str) -> None:
        """A result that is spooled, each chunk of it ending within what was said."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        text = json.dumps({"said": [said] * (LARGE_BYTES // len(said) + 1), "end": said}).encode()
        at, middle = 0, len(said) // 2
        while at < len(text):
            part = text[at : at + _CHUNK + middle]
            self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            at += len(part)
        self.wfile.write(b"0\r\n\r\n")

    def _call_back(self, given: dict[str, str]) -> None:
        """Deliver the signal, its own credential in it."""
        told = {"paid": True, "with": given["b"], "packed": base64.b64encode(given["b"].encode()).decode()}
        bearer = {"Authorization": f"Bearer {given['b']}"}
        answer = httpx.post(given["a"], json=told, headers=bearer, timeout=60, trust_env=False)
        self.service.delivered.append(answer.status_code)
        self._json({"told": answer.status_code, "token": given["b"]})

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), Content_Type="application/json")

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Nothing to standard error."""
