"""HashiCorp Vault's transit engine as a KEK provider (HTTP API v1; OpenBao speaks it too).

The place of a data key is its `associated_data`, and its `context` as well, which a derived key turns into a key of the
place's own. `wrapped_by` names mount, key and key version: what Vault's own rotation leaves behind can be told apart.
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import quote

import httpx
import structlog

from planvault.crypto.kek import KeyPlace, WrappedKey
from planvault.errors import DecryptionFailed, Unavailable

_AEAD = frozenset({"aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305"})
_CIPHERTEXT = re.compile(rb"vault:v(?P<version>[1-9][0-9]{0,8}):[A-Za-z0-9+/=]+")
_TIMEOUT = httpx.Timeout(4.0, connect=2.0)
_SOON_S = 10.0  # before the next look at a token that does not say how long it lives
_log = structlog.get_logger(__name__)


class VaultToken:
    """The token, given or read from a file (a Vault agent's sink, which replaces it by itself)."""

    def __init__(self, text: str = "", file: Path | None = None) -> None:
        self._text = text
        self._file = file

    def __repr__(self) -> str:
        return "VaultToken(…)"

    @property
    def is_ours_to_renew(self) -> bool:
        return self._file is None

    def read(self) -> str:
        """Raises Unavailable for a file that cannot be read."""
        if self._file is None:
            return self._text
        try:
            return self._file.read_text(encoding="utf-8").strip()
        except OSError as fault:
            raise Unavailable(f"The Vault token file cannot be read: {fault.strerror}.") from fault


class VaultKeyWrapper:
    """Implements KeyWrapper. From its first call on the token is renewed, for as long as the event loop runs."""

    name = "vault-transit"

    def __init__(
        self,
        address: str,
        key: str,
        token: VaultToken,
        *,
        mount: str = "transit",
        namespace: str = "",
        ca_file: Path | None = None,
        elapsed: Callable[[], float] = monotonic,
    ) -> None:
        self._key = key
        self._mount = mount.strip("/")
        self._token = token
        self._elapsed = elapsed
        self._renew_at = 0.0
        self._renewal: asyncio.Task[None] | None = None
        self._http = httpx.AsyncClient(
            base_url=f"{address.rstrip('/')}/v1/",
            headers={"X-Vault-Request": "true", **({"X-Vault-Namespace": namespace} if namespace else {})},
            timeout=_TIMEOUT,
            verify=str(ca_file) if ca_file else True,
            trust_env=False,
            follow_redirects=False,
        )

    async def current(self) -> str:
        key = await self._ask("GET", f"{self._mount}/keys/{quote(self._key, safe='')}")
        if (kind := _said(key, "type")) not in _AEAD:
            raise Unavailable(f"The Vault key {self._key!r} has type {kind}; use aes256-gcm96.")
        return self._named(int(_said(key, "latest_version")))

    async def wrap(self, key: bytes, place: KeyPlace) -> WrappedKey:
        data = await self._ask("POST", self._operation("encrypt"), {"plaintext": _b64(key), **_bound_to(place)})
        blob = _said(data, "ciphertext").encode()
        return WrappedKey(blob, self._named(_version(blob)))

    async def unwrap(self, wrapped: WrappedKey, place: KeyPlace) -> bytes:
        """A version below the key's `min_decryption_version` is Unavailable: Vault's operator can let it in again."""
        if wrapped.wrapped_by != self._named(_version(wrapped.blob)):
            raise DecryptionFailed(
                f"A data key is wrapped by {wrapped.wrapped_by}, not by the Vault key {self._key!r}."
            )
        body = {"ciphertext": wrapped.blob.decode(), **_bound_to(place)}
        data = await self._ask("POST", self._operation("decrypt"), body)
        return b64decode(_said(data, "plaintext"), validate=True)

    async def _keep_token(self) -> None:
        """Until cancelled."""
        while self._token.is_ours_to_renew:
            await asyncio.sleep(max(0.0, self._renew_at - self._elapsed()))
            try:
                await self._renew()
            except Unavailable as fault:
                self._renew_at = self._elapsed() + _SOON_S
                _log.warning("vault.token_not_renewed", cause=fault.detail)

    async def aclose(self) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.wait({self._renewal})
        await self._http.aclose()

    async def _renew(self) -> None:
        """Every half of its life. A token that has none (a root token's) or may not be renewed is left alone."""
        found = await self._ask("GET", "auth/token/lookup-self")
        life = float(found.get("ttl") or 0)
        if life and found.get("renewable"):
            answer = await self._send("POST", "auth/token/renew-self", {})
            life = float(answer.get("auth", {}).get("lease_duration") or life)
        elif life:
            _log.warning("vault.token_ends", in_seconds=life)
        self._renew_at = self._elapsed() + (max(life / 2, _SOON_S) if life else 3_600.0)

    def _operation(self, name: str) -> str:
        return f"{self._mount}/{name}/{quote(self._key, safe='')}"

    def _named(self, version: int) -> str:
        return f"{self._mount}/{self._key}:v{version}"

    async def _ask(self, method: str, path: str, body: dict[str, str] | None = None) -> dict[str, Any]:
        if self._renewal is None and self._token.is_ours_to_renew:
            self._renewal = asyncio.create_task(self._keep_token())
        data = (await self._send(method, path, body)).get("data")
        if not isinstance(data, dict):
            raise _not_vault()
        return data

    async def _send(self, method: str, path: str, body: dict[str, str] | None) -> dict[str, Any]:
        """Raises DecryptionFailed where Vault says that a ciphertext is none of this place's, Unavailable otherwise."""
        try:
            answer = await self._http.request(method, path, json=body, headers={"X-Vault-Token": self._token.read()})
            content: Any = answer.json()
        except (httpx.HTTPError, ValueError) as fault:
            raise Unavailable(f"Vault does not answer ({type(fault).__name__}).") from None
        if not isinstance(content, dict):
            raise _not_vault()
        if answer.status_code == httpx.codes.OK:
            return content
        said = "; ".join(map(str, content.get("errors", [])))
        if answer.status_code == httpx.codes.BAD_REQUEST and "message authentication failed" in said:
            raise DecryptionFailed("Vault does not open a data key: it is another place's or was changed.")
        if "disallowed by policy (too old)" in said:
            raise Unavailable(
                f"Vault's key {self._key!r} no longer decrypts what an older version of it wrapped. Lower its "
                "min_decryption_version, run `planvault keys rewrap`, and raise it again."
            )
        raise Unavailable(f"Vault refused with {answer.status_code}: {said or 'no reason given'}.")


def _not_vault() -> Unavailable:
    """A proxy's own page is no fault of the data: it is asked again, and the token is renewed later."""
    return Unavailable("Something answers at Vault's address, but not as Vault does.")


def _said(data: dict[str, Any], name: str) -> str:
    if name not in data:
        raise _not_vault()
    return str(data[name])


def _version(blob: bytes) -> int:
    match = _CIPHERTEXT.fullmatch(blob)
    if match is None:
        raise DecryptionFailed("A wrapped data key is not a ciphertext of Vault's transit engine.")
    return int(match["version"])


def _b64(value: bytes) -> str:
    return b64encode(value).decode()


def _bound_to(place: KeyPlace) -> dict[str, str]:
    bound = _b64(place.associated_data())
    return {"associated_data": bound, "context": bound}
