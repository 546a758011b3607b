"""How many requests a caller may make: names of limits, and what stands behind one."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from models.base import Frozen


class LimitName(StrEnum):
    """What is counted, and for whom. A request may count for several of them."""

    ADDRESS_OPEN = "address.open"  # routes that anybody may call, one client address
    ADDRESS_UNKNOWN = "address.unknown"  # credentials that are not known to be good, one client address
    CREDENTIAL_REFUSED = "credential.refused"  # requests of a known caller that are not his to make
    KEY_REQUESTS = "key.requests"  # everything that one key, token or person asks
    KEY_IMPORTS = "key.imports"  # of API descriptions
    KEY_SELECTIONS = "key.selections"  # dry runs of tool selection
    KEY_EXPORTS = "key.exports"
    KEY_STREAMS = "key.streams"  # live streams: one when it opens, and one a window while it is open
    ORGANIZATION_REQUESTS = "organization.requests"
    ORGANIZATION_IMPORTS = "organization.imports"
    ORGANIZATION_SELECTIONS = "organization.selections"
    ORGANIZATION_EXPORTS = "organization.exports"

    @property
    def is_the_organizations(self) -> bool:
        """Whether an organisation may choose it for itself and its keys."""
        return self.startswith(("key.", "organization."))


class Quota(Frozen):
    """So many requests at once, flowing back evenly over so many seconds."""

    requests: Annotated[int, Field(ge=1, le=1_000_000)]
    seconds: Annotated[int, Field(ge=1, le=86_400)]

    @property
    def interval_s(self) -> float:
        """What one request weighs: the seconds until it has flowed back."""
        return self.seconds / self.requests

    def allows_more_than(self, other: Quota) -> bool:
        """Whether it admits more at once, or more in the long run."""
        return self.requests > other.requests or self.interval_s < other.interval_s

    def __str__(self) -> str:
        return f"{self.requests}/{self.seconds}"


DEFAULT_LIMITS: Mapping[LimitName, Quota] = {
    LimitName.ADDRESS_OPEN: Quota(requests=1_200, seconds=60),
    LimitName.ADDRESS_UNKNOWN: Quota(requests=600, seconds=60),
    LimitName.CREDENTIAL_REFUSED: Quota(requests=300, seconds=60),
    LimitName.KEY_REQUESTS: Quota(requests=6_000, seconds=60),
    LimitName.KEY_IMPORTS: Quota(requests=120, seconds=60),
    LimitName.KEY_SELECTIONS: Quota(requests=300, seconds=60),
    LimitName.KEY_EXPORTS: Quota(requests=30, seconds=3_600),
    LimitName.KEY_STREAMS: Quota(requests=1_000, seconds=60),
    LimitName.ORGANIZATION_REQUESTS: Quota(requests=30_000, seconds=60),
    LimitName.ORGANIZATION_IMPORTS: Quota(requests=240, seconds=60),
    LimitName.ORGANIZATION_SELECTIONS: Quota(requests=600, seconds=60),
    LimitName.ORGANIZATION_EXPORTS: Quota(requests=60, seconds=3_600),
}
"""What a deployment that says nothing allows."""


class RateLimits(Frozen):
    """What an organisation has chosen: for itself and all its keys by name, and for single keys by their id.

    What is missing is the deployment's. Only an operator may choose more than the deployment allows.
    """

    limits: dict[LimitName, Quota] = Field(default_factory=dict)
    keys: dict[UUID, dict[LimitName, Quota]] = Field(default_factory=dict)

    def quota(self, name: LimitName, key_id: UUID | None) -> Quota | None:
        """The closest choice; None where there is none."""
        own = {} if key_id is None else self.keys.get(key_id, {})
        return own.get(name) or self.limits.get(name)


NO_CHOICES = RateLimits()


def parse_limits(text: str) -> Mapping[LimitName, Quota] | None:
    """`key.requests=6000/60, key.imports=30/60`, what is missing as in DEFAULT_LIMITS; None for `off`: no limits.

    Raises ValueError.
    """
    if text.strip() == "off":
        return None
    chosen = dict(DEFAULT_LIMITS)
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, amount = entry.partition("=")
        requests, _, seconds = amount.partition("/")
        known = ", ".join(LimitName)
        if name.strip() not in known.split(", "):
            raise ValueError(f"{name.strip()!r} is no rate limit; there are {known}")
        if not (requests.strip().isdecimal() and seconds.strip().isdecimal()):
            raise ValueError(f"write {name.strip()}=REQUESTS/SECONDS, for example {name.strip()}=100/60")
        chosen[LimitName(name.strip())] = Quota(requests=int(requests), seconds=int(seconds))
    return chosen
