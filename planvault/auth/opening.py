"""The authenticator of a process, with all that it asks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from planvault.auth.authenticator import Authenticator, KeyDirectory
from planvault.auth.issuer_keys import IssuerKeys
from planvault.auth.oidc import Oidc
from planvault.auth.oidc_issuer import HttpIssuer
from planvault.auth.oidc_policy import OidcPolicy, oidc_policy
from planvault.auth.service_tokens import ServiceDirectory
from planvault.auth.sign_in import People, SignIn
from planvault.net.client import GuardedHttp
from planvault.ports import Clock
from planvault.settings import Settings


@asynccontextmanager
async def open_authenticator(
    settings: Settings, keys: KeyDirectory, services: ServiceDirectory, people: People, clock: Clock
) -> AsyncIterator[Authenticator]:
    """Raises BringUpFailed for settings that cannot be right."""
    policy = oidc_policy(settings)
    if policy is None:
        yield Authenticator(keys, settings.admin_token_sha256, services=services)
        return
    async with _signing_in(policy, people, clock) as sign_in:
        yield Authenticator(
            keys,
            settings.admin_token_sha256,
            services=services,
            sign_in=sign_in,
            keep_admin_token=settings.keep_admin_token,
        )


@asynccontextmanager
async def _signing_in(policy: OidcPolicy, people: People, clock: Clock) -> AsyncIterator[SignIn]:
    http = GuardedHttp()
    try:
        keys = IssuerKeys(HttpIssuer(policy, http))
        async with keys.running():
            yield SignIn(Oidc(policy, keys, clock), people)
    finally:
        await http.aclose()
