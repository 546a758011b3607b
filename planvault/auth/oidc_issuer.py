"""Where an issuer's keys come from: its discovery document, then the key set that it names. Bounded in size and time.

Everything goes out through the egress guard; the operator says whether the issuer may be at a private address.
"""

from __future__ import annotations

from typing import Any

import httpx
import orjson

from planvault.auth.jwks import MOST_BYTES, KeySet, NotAKeySet, read_key_set
from planvault.auth.oidc_policy import OidcPolicy, is_web_url
from planvault.errors import EgressDenied, TooLarge
from planvault.net.body import read_bounded
from planvault.net.client import GuardedHttp

TIMEOUT_S = 5.0
_DISCOVERY = "/.well-known/openid-configuration"
_FRESH_JSON = {"Accept": "application/json", "Cache-Control": "no-cache"}  # a proxy's copy may lack the newest key


class IssuerAway(Exception):
    """The keys could not be fetched; the text says why, for the operator's log."""


class HttpIssuer:
    """Implements planvault.auth.issuer_keys.KeySource."""

    def __init__(self, policy: OidcPolicy, http: GuardedHttp, *, timeout_s: float = TIMEOUT_S) -> None:
        self._policy = policy
        self._http = http
        self._timeout_s = timeout_s
        self._jwks_url = policy.jwks_url

    async def fetch(self) -> KeySet:
        """The keys as they are published now. Raises IssuerAway."""
        if not self._jwks_url:
            self._jwks_url = await self._discovered()
        try:
            return await self._keys(self._jwks_url)
        except IssuerAway:
            self._jwks_url = self._policy.jwks_url  # the set may have moved: ask again next time
            raise

    async def _discovered(self) -> str:
        document = _json(await self._get(self._policy.issuer.rstrip("/") + _DISCOVERY), "discovery document")
        # Discovery 1.0 §4.3: another issuer's document must not bring its keys in here.
        if document.get("issuer") != self._policy.issuer:
            raise IssuerAway(
                "the discovery document is of another issuer than PLANVAULT_OIDC_ISSUER, which must be spelled exactly "
                "as it stands there, a slash at the end included"
            )
        found = document.get("jwks_uri")
        if not isinstance(found, str) or not self._may_give_keys(found):
            raise IssuerAway("the discovery document names no https:// address of its keys")
        return found

    def _may_give_keys(self, url: str) -> bool:
        """Keys of an https issuer never come over http, whatever its discovery document says."""
        try:
            return is_web_url(url, is_private=self._policy.issuer.startswith("http://"))
        except ValueError:
            return False

    async def _keys(self, url: str) -> KeySet:
        try:
            keys = read_key_set(await self._get(url))
        except NotAKeySet as fault:
            raise IssuerAway(f"its key set cannot be used: {fault}") from fault
        if not len(keys):
            raise IssuerAway("its key set holds no key that could verify a signature")
        return keys

    async def _get(self, url: str) -> bytes:
        try:
            async with self._http.stream(
                "GET", url, policy=self._policy.egress, headers=_FRESH_JSON, timeout=self._timeout_s
            ) as response:
                if response.status_code != httpx.codes.OK:
                    raise IssuerAway(f"{url} answered {response.status_code}")
                return await read_bounded(response, MOST_BYTES)
        except EgressDenied as fault:
            raise IssuerAway(
                f"{url} may not be reached: {fault}. For an issuer in your own network set PLANVAULT_OIDC_PRIVATE=true"
            ) from fault
        except (httpx.HTTPError, httpx.InvalidURL, TooLarge, OSError) as fault:
            raise IssuerAway(f"{url}: {type(fault).__name__}: {fault}") from fault


def _json(text: bytes, what: str) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise IssuerAway(f"its {what} is not JSON") from error
    if not isinstance(found, dict):
        raise IssuerAway(f"its {what} is not a JSON object")
    return found
