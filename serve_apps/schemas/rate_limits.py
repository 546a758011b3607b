"""An organisation's choice of rate limits on the wire."""

from collections.abc import Mapping
from typing import Literal, TypeAlias
from uuid import UUID

from pydantic import Field, StrictInt

from models.rate_limits import LimitName, Quota, RateLimits
from planvault.errors import FieldError, InvalidInput
from serve_apps.problems import pointer_of
from serve_apps.schemas.base import Body

KeyLimit: TypeAlias = Literal[
    LimitName.KEY_REQUESTS,
    LimitName.KEY_IMPORTS,
    LimitName.KEY_SELECTIONS,
    LimitName.KEY_EXPORTS,
    LimitName.KEY_STREAMS,
]
Limit: TypeAlias = (
    KeyLimit
    | Literal[
        LimitName.ORGANIZATION_REQUESTS,
        LimitName.ORGANIZATION_IMPORTS,
        LimitName.ORGANIZATION_SELECTIONS,
        LimitName.ORGANIZATION_EXPORTS,
    ]
)


class QuotaIn(Body):
    requests: StrictInt = Field(ge=1, le=1_000_000, description="So many at once, flowing back evenly.")
    seconds: StrictInt = Field(ge=1, le=86_400)

    def quota(self) -> Quota:
        return Quota(requests=self.requests, seconds=self.seconds)


class RateLimitsIn(Body):
    """What is left out is the deployment's. More than that only an operator may allow."""

    limits: dict[Limit, QuotaIn] = Field(
        default_factory=dict, description="For the organisation, and for all its keys."
    )
    keys: dict[UUID, dict[KeyLimit, QuotaIn]] = Field(
        default_factory=dict, max_length=200, description="For single keys and service tokens, by their id."
    )

    def chosen(self) -> RateLimits:
        return RateLimits(
            limits={name: quota.quota() for name, quota in self.limits.items()},
            keys={
                key_id: {name: quota.quota() for name, quota in limits.items()} for key_id, limits in self.keys.items()
            },
        )


def check_within(chosen: RateLimits, before: RateLimits, deployment: Mapping[LimitName, Quota], pointer: str) -> None:
    """What is no operator's choice: no more than the deployment allows, or an operator has before.

    Raises InvalidInput with a pointer for each that is more.
    """
    places: list[tuple[Mapping[LimitName, Quota], UUID | None, list[str]]] = [(chosen.limits, None, ["limits"])]
    places += [(limits, key_id, ["keys", str(key_id)]) for key_id, limits in chosen.keys.items()]
    errors = [
        FieldError(f"{pointer}{pointer_of([*path, name])}", f"this deployment allows {most}: an operator may raise it")
        for limits, key_id, path in places
        for name, quota in limits.items()
        if quota.allows_more_than(most := deployment[name]) and quota != before.quota(name, key_id)
    ]
    if errors:
        raise InvalidInput("The rate limits are above those of this deployment.", errors=errors)
