"""People and programs with roles: who signs in at an issuer on a loopback port, and service tokens."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

import httpx
import orjson
from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.types import ASGIApp, Receive, Scope, Send

from models.access import Role
from models.base import JsonObject

AUDIENCE = "planvault"
_LIFE_S = 86_400  # of a sign-in: longer than the longest run
_ALGORITHM = "ES256"


class Issuer:
    """The least of OpenID Connect: discovery and keys. An ASGI application; `url` is set once it is served."""

    def __init__(self) -> None:
        self.url = ""
        self._key = ECKey.generate_key("P-256", {"kid": "fuzz", "alg": _ALGORITHM, "use": "sig"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        keys = {"keys": [self._key.as_dict(private=False)]}
        found = keys if scope["path"] == "/keys" else {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
        body = orjson.dumps(found)
        head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": body})

    def signs_in(self, email: str) -> str:
        now = int(time.time())
        claims = {"iss": self.url, "sub": email, "aud": AUDIENCE, "iat": now, "exp": now + _LIFE_S}
        claims |= {"email": email, "email_verified": True, "name": email}
        return jwt.encode({"alg": _ALGORITHM, "kid": "fuzz"}, claims, self._key, [_ALGORITHM])


def address(role: Role) -> str:
    """Of the one person with the role."""
    return f"{role.lower()}@fuzz.example"


class Tokens(NamedTuple):
    """Role → token."""

    people: dict[Role, str]
    services: dict[Role, str]


async def appoint(app: ASGIApp, admin: str, signs_in: Callable[[str], str], orgs: tuple[UUID, ...]) -> Tokens:
    """One person of each role in each of the organisations, one service token of each in the first: over the API."""
    people = {role: signs_in(address(role)) for role in Role}
    services: dict[Role, str] = {}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://api") as client:

        async def made(path: str, bearer: str, body: JsonObject) -> str:
            answer = await client.post(path, json=body, headers={"Authorization": f"Bearer {bearer}"})
            answer.raise_for_status()
            return str(answer.json().get("token", ""))

        for role, token in people.items():
            for org in orgs:
                invited: JsonObject = {"email": address(role), "role": role.value}
                invitation = await made(f"/admin/v1/orgs/{org}/invitations", admin, invited)
                await made("/api/v1/account/invitations", token, {"token": invitation})
        for role in set(Role) - {Role.OWNER}:
            path = f"/admin/v1/orgs/{orgs[0]}/service-tokens"
            services[role] = await made(path, admin, {"name": f"fuzz {role.lower()}", "role": role.value})
    return Tokens(people, services)
