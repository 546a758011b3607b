"""A local issuer, and the product's side of it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

import pytest

from models.policies import EgressPolicy
from planvault.auth.issuer_keys import IssuerKeys, Pace
from planvault.auth.keys import digest
from planvault.auth.oidc import Oidc
from planvault.auth.oidc_claims import Identity
from planvault.auth.oidc_issuer import HttpIssuer
from planvault.auth.oidc_policy import OidcPolicy
from planvault.clock import SystemClock
from planvault.net.client import GuardedHttp
from tests.integration.auth.issuer import AUDIENCE, Issuer, serving

QUICK = Pace(interval_s=0.05, backoff_s=0.05)


@dataclass
class Door:
    oidc: Oidc
    keys: IssuerKeys

    async def identify(self, token: str) -> Identity:
        return await self.oidc.identify(token, digest(token))


OpenDoor = Callable[..., Awaitable[Door]]


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with serving() as running:
        yield running


def policy_for(issuer: Issuer) -> OidcPolicy:
    inside = EgressPolicy(allow_loopback=True, allow_private=True)
    return OidcPolicy(issuer=issuer.url, audiences=frozenset({AUDIENCE}), egress=inside)


@pytest.fixture
async def opened(issuer: Issuer) -> AsyncIterator[OpenDoor]:
    """Opens a verifier of this issuer's tokens; keywords change the policy."""
    async with AsyncExitStack() as stack:

        async def opening(pace: Pace = QUICK, timeout_s: float = 5.0, **changes: object) -> Door:
            policy = replace(policy_for(issuer), **changes)  # type: ignore[arg-type]
            http = GuardedHttp()
            stack.push_async_callback(http.aclose)
            keys = IssuerKeys(HttpIssuer(policy, http, timeout_s=timeout_s), pace=pace)
            await stack.enter_async_context(keys.running())
            return Door(Oidc(policy, keys, SystemClock()), keys)

        yield opening


@pytest.fixture
async def door(opened: OpenDoor) -> Door:
    return await opened()
