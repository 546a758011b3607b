"""An OpenID Connect issuer on a loopback port, over real HTTP, that misbehaves where a test tells it to."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import orjson
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

AUDIENCE = "planvault"
DISCOVERY = "/realms/acme/.well-known/openid-configuration"
JWKS = "/realms/acme/certs"


@dataclass(frozen=True)
class Signer:
    """A key pair with its names."""

    kid: str
    alg: str
    key: RSAKey | ECKey | OKPKey

    def jwk(self, **changes: Any) -> dict[str, Any]:
        """The public half as an issuer publishes it; None in `changes` leaves a member out."""
        told = {**self.key.as_dict(private=False), "kid": self.kid, "alg": self.alg, "use": "sig", **changes}
        return {name: value for name, value in told.items() if value is not None}

    def sign(self, claims: dict[str, Any] | bytes, **header: Any) -> str:
        """None in `header` leaves a member out."""
        head = {"alg": self.alg, "kid": self.kid, "typ": "JWT", **header}
        payload = claims if isinstance(claims, bytes) else orjson.dumps(claims)
        shown = {name: value for name, value in head.items() if value is not None}
        signed = f"{b64(orjson.dumps(shown))}.{b64(payload)}"
        # The bare algorithm: the library would not write what attackers write.
        return f"{signed}.{b64(jws.JWSRegistry.algorithms[shown['alg']].sign(signed.encode(), self.key))}"


@cache
def signer(kid: str = "first", alg: str = "RS256") -> Signer:
    """The same pair for the same name, all tests long: RSA keys take their time."""
    if alg.startswith("ES"):
        return Signer(kid, alg, ECKey.generate_key({"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[alg]))
    if alg in ("EdDSA", "Ed25519"):
        return Signer(kid, alg, OKPKey.generate_key("Ed25519"))
    return Signer(kid, alg, RSAKey.generate_key(2_048))


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Issuer:
    """`answers`: what a path gives instead of the truth, (status, headers, body). `holds`: paths that wait for it."""

    url: str = ""
    keys: list[dict[str, Any]] = field(default_factory=lambda: [signer().jwk()])
    discovery: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    holds: dict[str, asyncio.Event] = field(default_factory=dict)
    is_down: bool = False
    asked: list[str] = field(default_factory=list)
    heard: asyncio.Event = field(default_factory=asyncio.Event)

    def fetches(self) -> int:
        """Of keys."""
        return self.asked.count(JWKS)

    def claims(self, **changes: Any) -> dict[str, Any]:
        """An access token's; None leaves one out."""
        now = int(time.time())
        told = {
            "iss": self.url,
            "sub": "f3b9…person",
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + 300,
            "email": "Mia@Acme.example",
            "email_verified": True,
            "name": "Mia",
            **changes,
        }
        return {name: value for name, value in told.items() if value is not None}

    def token(self, **changes: Any) -> str:
        return signer().sign(self.claims(**changes))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n", 1)[0]
            path = line.split(b" ")[1].decode()
            self.asked.append(path)
            self.heard.set()
            if self.is_down:
                return
            status, headers, body = self._answer(path)  # as it was published when it was asked
            if path in self.holds:
                await self.holds[path].wait()
            head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
            writer.write(
                f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{head}\r\n".encode()
            )
            writer.write(body)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the other side has hung up: some tests want that
        finally:
            writer.close()

    def _answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        if path in self.answers:
            return self.answers[path]
        if path == DISCOVERY:
            return 200, {}, orjson.dumps({"issuer": self.url, "jwks_uri": self._origin + JWKS, **self.discovery})
        if path == JWKS:
            return 200, {}, orjson.dumps({"keys": self.keys})
        return 404, {}, b"{}"

    @property
    def _origin(self) -> str:
        return self.url.removesuffix("/realms/acme")


@asynccontextmanager
async def serving() -> AsyncIterator[Issuer]:
    issuer = Issuer()
    server = await asyncio.start_server(issuer.serve, "127.0.0.1", 0)
    issuer.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/realms/acme"
    try:
        yield issuer
    finally:
        for held in issuer.holds.values():
            held.set()
        server.close()
        await server.wait_closed()
