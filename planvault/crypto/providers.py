"""Which KEK providers this process has. Several at once, so that keys can move from one to another while it works."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from uuid import UUID

from models.ids import OrgId
from planvault.crypto.committing import KEY_BYTES
from planvault.crypto.kek import KeyPlace, KeyWrapper, WrappedKey
from planvault.errors import Unavailable

ANSWER_S = 5.0
"""How long one call to a provider may take. Other organisations do not wait for it."""
# An organisation's, as policies of the provider may ask for, and of none that there is.
_NOBODYS = KeyPlace(OrgId(UUID(int=0)), "org", UUID(int=0), 1)


class KeyProviders:
    """Providers by the name that `organizations.dek_wrap` calls them. `primary` wraps the keys of new organisations."""

    def __init__(self, providers: Mapping[str, KeyWrapper], primary: str, *, answer_s: float = ANSWER_S) -> None:
        if primary not in providers:
            raise ValueError(f"the primary provider {primary!r} is none of {sorted(providers)}")
        self._providers = dict(providers)
        self._answer_s = answer_s
        self.primary = primary

    @classmethod
    def only(cls, wrapper: KeyWrapper) -> KeyProviders:
        return cls({wrapper.name: wrapper}, wrapper.name)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._providers)

    def of(self, name: str) -> KeyWrapper:
        """Raises Unavailable for one that this process was not given."""
        found = self._providers.get(name)
        if found is None:
            known = ", ".join(sorted(self._providers))
            raise Unavailable(
                f"The organisation's keys are wrapped by {name!r}; this process has {known}. "
                "Configure that provider as well (docs/encryption.md), or finish `planvault keys rewrap`."
            )
        return found

    async def wrap(self, name: str, key: bytes, place: KeyPlace) -> WrappedKey:
        """Raises Unavailable where the provider is away, or slower than `answer_s`."""
        try:
            async with asyncio.timeout(self._answer_s):
                return await self.of(name).wrap(key, place)
        except TimeoutError:
            raise self._too_slow(name) from None

    async def unwrap(self, name: str, wrapped: WrappedKey, place: KeyPlace) -> bytes:
        """Raises DecryptionFailed for another KEK, another place or a changed blob; Unavailable as `wrap` does."""
        try:
            async with asyncio.timeout(self._answer_s):
                return await self.of(name).unwrap(wrapped, place)
        except TimeoutError:
            raise self._too_slow(name) from None

    async def prove(self, name: str) -> None:
        """That the provider wraps a key and gives it back. Raises as `unwrap` does.

        Its operator may allow no more than these two calls, so nothing else is asked.
        """
        key = os.urandom(KEY_BYTES)
        if await self.unwrap(name, await self.wrap(name, key, _NOBODYS), _NOBODYS) != key:
            raise Unavailable(f"The key provider {name!r} does not give back what it was given.")

    def _too_slow(self, name: str) -> Unavailable:
        return Unavailable(f"The key provider {name!r} did not answer within {self._answer_s:g} s. Try again.")
