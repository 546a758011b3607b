"""The limits of one replica: its meter, what the deployment and the organisations have chosen, who is known here."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import TypeAlias

from models.ids import OrgId
from models.rate_limits import NO_CHOICES, LimitName, Quota, RateLimits
from planvault.auth.permissions import Granted
from planvault.auth.tenancy import Fresh
from planvault.storage.pool import is_away
from serve_apps.limits.address import Clients
from serve_apps.limits.meter import Meter, Wanted
from serve_apps.limits.rules import subject, wanted
from serve_apps.limits.streams import OpenStreams

KNOWN_S = 600.0
_KNOWN = 20_000

AskChoices: TypeAlias = Callable[[OrgId], Awaitable[RateLimits]]
"""What an organisation has chosen; raises what a database raises that is away."""


class KnownCredentials:
    """Credentials that have passed here of late, by digest: a stranger's guesses do not keep them out."""

    def __init__(self, elapsed: Callable[[], float] = monotonic) -> None:
        self._elapsed = elapsed
        self._until: OrderedDict[bytes, float] = OrderedDict()
        self._judging: set[bytes] = set()

    def __contains__(self, credential: bytes) -> bool:
        return self._elapsed() < self._until.get(credential, 0.0)

    @contextmanager
    def first_seen(self, credential: bytes) -> Iterator[bool]:
        """Whether it is the first request with a credential of which nothing is known; True for the block's life."""
        is_first = credential not in self._judging
        self._judging.add(credential)
        try:
            yield is_first
        finally:
            if is_first:
                self._judging.discard(credential)

    def remember(self, credential: bytes) -> None:
        self._until[credential] = self._elapsed() + KNOWN_S
        self._until.move_to_end(credential)
        if len(self._until) > _KNOWN:
            self._until.popitem(last=False)

    def forget(self, credential: bytes) -> None:
        self._until.pop(credential, None)


@dataclass(frozen=True, slots=True)
class Limits:
    """One a replica. `deployment`: what holds where an organisation has chosen nothing."""

    deployment: Mapping[LimitName, Quota]
    meter: Meter
    clients: Clients
    choices: AskChoices
    known: KnownCredentials = field(default_factory=KnownCredentials)
    streams: OpenStreams = field(default_factory=OpenStreams)

    async def of_caller(self, granted: Granted, route: tuple[str, str]) -> list[Wanted]:
        """What an admitted request must fit in."""
        choices = NO_CHOICES if granted.scope is None else await self.choices(granted.scope.org_id)
        return wanted(granted, route, self.deployment, choices)

    def of_stranger(self, name: LimitName, whose: str) -> Wanted:
        return Wanted(name, subject(name, whose), self.deployment[name])


def remembered(ask: AskChoices, elapsed: Callable[[], float] = monotonic) -> AskChoices:
    """Asked once in a few seconds an organisation; the deployment's limits hold while the database is away."""
    kept: Fresh[OrgId, RateLimits] = Fresh(elapsed)

    async def answer(org_id: OrgId) -> RateLimits:
        try:
            return await kept.get(org_id, lambda: ask(org_id)) or NO_CHOICES
        # Whatever the route needs of the database, it will say so itself.
        except Exception as fault:
            if not is_away(fault):
                raise
            return NO_CHOICES

    return answer
