"""A person's token → a person of ours."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
from typing import Protocol

from models.access import User
from planvault.auth.look_ups import LookUps
from planvault.auth.oidc_claims import Identity
from planvault.auth.principals import Principal, person
from planvault.auth.remembered import Remembered

_PERSON_S = 60.0  # how long a person's row is not looked at again: it tells when they were here last


class Issuer(Protocol):
    """planvault.auth.oidc.Oidc."""

    async def identify(self, text: str, sha256: bytes) -> Identity:
        """Raises NotAuthenticated, IssuerUnavailable."""
        ...


class People(Protocol):
    """planvault.storage.members.Members."""

    async def signed_in(self, issuer: str, subject: str, *, email: str, email_verified: bool, name: str) -> User:
        """The person with this subject at this issuer; made at first sight."""
        ...


class SignIn:
    """One a process."""

    def __init__(self, issuer: Issuer, people: People, *, elapsed: Callable[[], float] = monotonic) -> None:
        self._issuer = issuer
        self._people = people
        self._elapsed = elapsed
        self._known: Remembered[Principal] = Remembered(elapsed)
        self._look_ups: LookUps[bytes, Principal] = LookUps(elapsed, _PERSON_S)

    async def person(self, text: str, sha256: bytes) -> Principal:
        """`sha256` is the token's. Raises NotAuthenticated, IssuerUnavailable."""
        identity = await self._issuer.identify(text, sha256)  # whether it is valid is asked every time
        found = self._known.get(sha256) or await self._look_ups.find(sha256, lambda: self._look_up(identity, sha256))
        assert found is not None  # who is not there yet is made
        return found

    async def _look_up(self, identity: Identity, sha256: bytes) -> Principal:
        asked_at = self._elapsed()
        user = await self._people.signed_in(
            identity.issuer,
            identity.subject,
            email=identity.email,
            email_verified=identity.email_verified,
            name=identity.name,
        )
        found = person(user, expires_at=identity.expires_at, is_operator=identity.is_operator)
        self._known.put(sha256, asked_at + _PERSON_S, found)
        return found
