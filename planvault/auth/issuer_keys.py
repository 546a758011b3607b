"""An issuer's keys as one process holds them: fetched once, refreshed behind the requests, kept while it is away.

A key that nobody has seen is looked for at the issuer, for a token signed a moment after a rotation must pass. That is
the one thing that a stranger can cause, with a made-up key id: so fetches are single flight and have an interval
between them, whoever asks, and those who wait for the next one are limited in number.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

import structlog

from planvault.auth.jwks import KeySet, VerificationKey
from planvault.auth.oidc_issuer import IssuerAway
from planvault.errors import IssuerUnavailable

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How often an issuer is asked, in seconds."""

    refresh_s: float = 300.0  # a key that it withdraws opens for that much longer, at most
    keep_s: float = 24 * 3_600.0  # how long keys are used that it does not confirm, because it is away
    interval_s: float = (
        2.0  # between two fetches, whatever the reason; a token of a new key waits for that long at most
    )
    backoff_s: float = 30.0  # the longest pause after failures
    waiting: int = 256  # requests that may wait for keys at a time


class KeySource(Protocol):
    """planvault.auth.oidc_issuer.HttpIssuer."""

    async def fetch(self) -> KeySet:
        """The keys as they are now. Raises IssuerAway."""
        ...


class IssuerKeys:
    """One a process. To be used inside `running()`, which ends a fetch that is under way."""

    def __init__(
        self, source: KeySource, *, pace: Pace | None = None, elapsed: Callable[[], float] = monotonic
    ) -> None:
        self._source = source
        self._pace = pace or Pace()
        self._elapsed = elapsed
        self._keys: KeySet | None = None
        self._as_of = 0.0  # when the fetch began that brought them
        self._next_at = 0.0
        self._failures = 0
        self._fetch: asyncio.Task[None] | None = None
        self._waiting = 0
        self.withdrawals = 0
        """Grows when a key has gone: whatever was verified with the keys before must be verified again."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The first fetch begins at once; nothing waits for it, so that an issuer that is away delays no start."""
        self._begin()
        try:
            yield
        finally:
            if self._fetch is not None and self._fetch.cancel():
                with suppress(asyncio.CancelledError):
                    await self._fetch

    def refresh_when_old(self) -> None:
        """Begin a fetch behind the requests where it is time. Costs nothing to call."""
        if self._keys is None or self._elapsed() - self._as_of >= self._pace.refresh_s:
            self._begin()

    async def candidates(self, kid: str, algorithm: str) -> tuple[VerificationKey, ...]:
        """The keys that may have signed a token with this header. Empty: the issuer has been asked, and has none.

        Raises IssuerUnavailable where the issuer cannot be asked, or too many wait for its answer.
        """
        self.refresh_when_old()
        found = self._fitting(kid, algorithm)
        return found or await self.newer_candidates(kid, algorithm, self._elapsed())

    async def newer_candidates(self, kid: str, algorithm: str, asked_at: float) -> tuple[VerificationKey, ...]:
        """The same from keys that were fetched after `asked_at` (`elapsed` seconds). Raises IssuerUnavailable."""
        if self._waiting >= self._pace.waiting:
            raise IssuerUnavailable
        self._waiting += 1
        try:
            while self._keys is None or self._as_of < asked_at:
                # A fetch that began before this request may have missed what was published since.
                await self._one_fetch()
                if found := self._fitting(kid, algorithm):
                    return found
            return self._fitting(kid, algorithm)
        finally:
            self._waiting -= 1

    def now(self) -> float:
        return self._elapsed()

    def _fitting(self, kid: str, algorithm: str) -> tuple[VerificationKey, ...]:
        if self._keys is None or self._elapsed() - self._as_of >= self._pace.keep_s:
            return ()
        return self._keys.candidates(kid, algorithm)

    async def _one_fetch(self) -> None:
        """Wait for the fetch that is under way, or for the next one. Raises IssuerUnavailable where it fails."""
        if self._failures and self._next_at - self._elapsed() > self._pace.interval_s:
            raise IssuerUnavailable  # it was away a moment ago: nobody waits for a long pause to end
        before = self._as_of
        await asyncio.shield(self._begin())
        if self._failures and self._as_of == before:
            raise IssuerUnavailable

    def _begin(self) -> asyncio.Task[None]:
        # Asked of the task itself: a callback at its end would come a turn of the loop later, and whoever is told in
        # that turn to wait for what has ended does not wait, asks again, and lets nobody else have the turn.
        if self._fetch is None or self._fetch.done():
            self._fetch = asyncio.create_task(self._fetch_when_due(), name="issuer-keys")
        return self._fetch

    async def _fetch_when_due(self) -> None:
        await asyncio.sleep(max(0.0, self._next_at - self._elapsed()))
        began = self._elapsed()
        try:
            keys = await self._source.fetch()
        except IssuerAway as fault:
            self._failures += 1
            pause = min(self._pace.interval_s * 2**self._failures, self._pace.backoff_s)
            self._next_at = self._elapsed() + pause
            _log.warning("issuer_keys_not_fetched", reason=str(fault), failures=self._failures, again_in_s=pause)
            return
        if self._keys is not None and self._keys.names - keys.names:
            self.withdrawals += 1
        self._keys, self._as_of, self._failures = keys, began, 0
        self._next_at = self._elapsed() + self._pace.interval_s
