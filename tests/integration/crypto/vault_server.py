"""Vault's transit engine as its HTTP API documents it: derived keys, versions, associated data, tokens that end."""

from __future__ import annotations

import json
import os
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class Refused(Exception):
    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(*errors)
        self.status = status
        self.errors = list(errors)


@dataclass
class VaultServer:
    """`answers` is cleared to make it hang; `asked` holds method and path of every request."""

    tokens: dict[str, int] = field(default_factory=lambda: {"token": 60})  # seconds to live
    versions: list[bytes] = field(default_factory=lambda: [os.urandom(32)])
    min_decryption_version: int = 1
    kind: str = "aes256-gcm96"
    url: str = ""
    asked: list[str] = field(default_factory=list)
    renewed: int = 0
    instead: Any = None  # what a proxy in front of it answers, with 200
    answers: threading.Event = field(default_factory=threading.Event)

    def rotate(self) -> None:
        self.versions.append(os.urandom(32))

    def handle(self, method: str, path: str, token: str | None, body: dict[str, str]) -> dict[str, Any]:
        self.asked.append(f"{method} {path}")
        if self.instead is not None:
            return cast("dict[str, Any]", self.instead)
        if token not in self.tokens:
            raise Refused(403, "permission denied")
        match (method, path):
            case ("GET", "/v1/auth/token/lookup-self"):
                return {"data": {"ttl": self.tokens[token], "renewable": True}}
            case ("POST", "/v1/auth/token/renew-self"):
                self.renewed += 1
                return {"auth": {"lease_duration": self.tokens[token]}}
            case ("GET", "/v1/transit/keys/planvault"):
                found = {"type": self.kind, "latest_version": len(self.versions), "derived": True}
                return {"data": {**found, "min_decryption_version": self.min_decryption_version}}
            case ("POST", "/v1/transit/encrypt/planvault"):
                return {"data": {"ciphertext": self._encrypt(body), "key_version": len(self.versions)}}
            case ("POST", "/v1/transit/decrypt/planvault"):
                return {"data": {"plaintext": self._decrypt(body)}}
        raise Refused(404, f"no handler for route {path!r}")

    def _aead(self, version: int, body: dict[str, str]) -> AESGCM:
        if not body.get("context"):
            raise Refused(400, "missing 'context' for key derivation; the key was created using a derived key")
        context = b64decode(body["context"], validate=True)
        derived = HKDF(SHA256(), length=32, salt=None, info=context).derive(self.versions[version - 1])
        return AESGCM(derived)

    def _encrypt(self, body: dict[str, str]) -> str:
        version, nonce = len(self.versions), os.urandom(12)
        plaintext = b64decode(body["plaintext"], validate=True)
        sealed = self._aead(version, body).encrypt(nonce, plaintext, b64decode(body["associated_data"]))
        return f"vault:v{version}:{b64encode(nonce + sealed).decode()}"

    def _decrypt(self, body: dict[str, str]) -> str:
        _, version, text = body["ciphertext"].split(":")
        number = int(version[1:])
        if number < self.min_decryption_version:
            raise Refused(400, "ciphertext or signature version is disallowed by policy (too old)")
        if number > len(self.versions):
            raise Refused(400, "invalid ciphertext: version is too new")
        raw = b64decode(text)
        try:
            plaintext = self._aead(number, body).decrypt(raw[:12], raw[12:], b64decode(body["associated_data"]))
        except InvalidTag:
            raise Refused(400, "cipher: message authentication failed") from None
        return b64encode(plaintext).decode()


@contextmanager
def vault_server(vault: VaultServer | None = None) -> Iterator[VaultServer]:
    vault = vault or VaultServer()
    vault.answers.set()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

        def _answer(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")
            vault.answers.wait(10)
            try:
                status, content = 200, vault.handle(self.command, self.path, self.headers.get("X-Vault-Token"), body)
            except Refused as refused:
                status, content = refused.status, {"errors": refused.errors}
            raw = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = _answer  # noqa: N815 - the base class's names

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    vault.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield vault
    finally:
        vault.answers.set()
        server.shutdown()
        server.server_close()
