"""What stands beside a platform and shares secrets with it: a Redis with a password, a Vault, an issuer of tokens."""

from __future__ import annotations

import asyncio
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from typing import Any

from tests.e2e.canaries import Canary, found_credential, found_key, planted
from tests.e2e.secret_places import DATA_KEY
from tests.integration.auth.issuer import AUDIENCE, Issuer, serving
from tests.integration.crypto.vault_server import VaultServer, vault_server
from tests.integration.redis_server import RedisServer

MIA = "mia@acme.example"


@dataclass
class TellingVault(VaultServer):
    """It knows what it wraps: the data keys as they are nowhere but in memory."""

    wrapped: dict[bytes, None] = field(default_factory=dict)

    def handle(self, method: str, path: str, token: str | None, body: dict[str, str]) -> dict[str, Any]:
        if "plaintext" in body:
            self.wrapped[b64decode(body["plaintext"])] = None
        return super().handle(method, path, token, body)


@dataclass
class Beside:
    redis: RedisServer
    vault: TellingVault
    issuer: Issuer
    secrets: dict[str, Canary]

    @property
    def environment(self) -> dict[str, str]:
        """Settings of a platform that uses all three."""
        return {
            "REDIS_URL": self.redis.url,
            "PLANVAULT_KEK_PROVIDER": "vault-transit",
            "PLANVAULT_KEK_VAULT_ADDRESS": self.vault.url,
            "PLANVAULT_KEK_VAULT_TOKEN": self.secrets["vault token"].value,
            "PLANVAULT_OIDC_ISSUER": self.issuer.url,
            "PLANVAULT_OIDC_AUDIENCE": AUDIENCE,
            "PLANVAULT_OIDC_PRIVATE": "true",
            "PLANVAULT_KEEP_ADMIN_TOKEN": "true",
            "PLANVAULT_EGRESS_ALLOW_LOOPBACK": "true",  # `up` opens it by itself only where nobody signs in
        }

    def data_keys(self) -> dict[str, Canary]:
        found = {f"{DATA_KEY} {number}": raw for number, raw in enumerate(self.vault.wrapped)}
        return {place: found_key(place, raw) for place, raw in found.items()}


@contextmanager
def beside(folder: Path) -> Iterator[Beside]:
    """All three, with passwords of this test alone."""
    password = found_credential("redis password", planted("redis").core)
    token = found_credential("vault token", f"hvs.{planted('vault').core}")
    redis = RedisServer(folder, password.value)
    redis.start()
    try:
        with vault_server(TellingVault(tokens={token.value: 3_600})) as vault, _issuer() as issuer:
            assert isinstance(vault, TellingVault)
            yield Beside(redis, vault, issuer, {each.place: each for each in (password, token)})
    finally:
        redis.kill()


@contextmanager
def _issuer() -> Iterator[Issuer]:
    """In a thread of its own: the tests that use it are not asynchronous."""
    opened: Queue[tuple[Issuer, asyncio.AbstractEventLoop, asyncio.Event]] = Queue()

    async def serve() -> None:
        async with serving() as issuer:
            stop = asyncio.Event()
            opened.put((issuer, asyncio.get_running_loop(), stop))
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    issuer, loop, stop = opened.get(timeout=10)
    try:
        yield issuer
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
