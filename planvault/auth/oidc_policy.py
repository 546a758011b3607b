"""What the operator has laid down about the one issuer whose tokens are accepted."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from models.access import plain_address
from models.policies import EgressPolicy
from planvault.errors import BringUpFailed
from planvault.settings import Settings

_SECURE = "https"


@dataclass(frozen=True, slots=True)
class OidcPolicy:
    """Which tokens are accepted, and what their claims mean here (docs/identity.md)."""

    issuer: str  # compared as it stands: no slash more, none less (OpenID Connect Discovery 1.0 §4.3)
    audiences: frozenset[str]  # one of them must be in `aud`
    clients: frozenset[str] = frozenset()  # where not empty, `azp` must be one of them
    jwks_url: str = ""  # empty: what the issuer's discovery document names
    egress: EgressPolicy = field(default_factory=EgressPolicy)
    subject_claim: Literal["sub", "oid"] = "sub"
    email_claim: str = "email"
    emails_are_verified: bool = False  # the issuer verifies all addresses, and does not say so in a claim
    leeway_s: float = 30.0
    operator_claim: str = ""  # a claim's name, or a path of names: realm_access.roles
    operator_value: str = ""
    operators: frozenset[str] = frozenset()  # subjects, and verified e-mail addresses in lower case

    @property
    def is_private(self) -> bool:
        return self.egress.allow_private


def oidc_policy(settings: Settings) -> OidcPolicy | None:
    """None where no issuer is set. Raises BringUpFailed for what cannot be right, so that nothing starts half open."""
    if not settings.oidc_issuer:
        return None
    audiences = listed(settings.oidc_audience)
    if not audiences:
        raise BringUpFailed(
            "PLANVAULT_OIDC_AUDIENCE must name this API as the issuer writes it into `aud`: without it, every token "
            "that the issuer makes for any other application would open this one."
        )
    egress = EgressPolicy(allow_loopback=settings.oidc_private, allow_private=settings.oidc_private)
    _check_url("PLANVAULT_OIDC_ISSUER", settings.oidc_issuer, is_private=settings.oidc_private)
    if settings.oidc_jwks_url:
        _check_url("PLANVAULT_OIDC_JWKS_URL", settings.oidc_jwks_url, is_private=settings.oidc_private)
    operators = listed(settings.oidc_operators)
    return OidcPolicy(
        issuer=settings.oidc_issuer,
        audiences=audiences,
        clients=listed(settings.oidc_clients),
        jwks_url=settings.oidc_jwks_url,
        egress=egress,
        subject_claim=settings.oidc_subject_claim,
        email_claim=settings.oidc_email_claim,
        emails_are_verified=settings.oidc_trust_emails,
        leeway_s=settings.oidc_leeway_s,
        operator_claim=settings.oidc_operator_claim,
        operator_value=settings.oidc_operator_value,
        operators=frozenset(plain_address(name) if "@" in name else name for name in operators),
    )


def listed(text: str) -> frozenset[str]:
    """The entries of a comma-separated setting."""
    return frozenset(entry.strip() for entry in text.split(",") if entry.strip())


def is_web_url(text: str, *, is_private: bool) -> bool:
    """Whether keys may come from there: https, and plain http only where the operator said that it is their network."""
    parts = urlsplit(text)
    secure = parts.scheme == _SECURE or (is_private and parts.scheme == "http")
    return secure and bool(parts.hostname) and parts.username is None and not parts.fragment


def _check_url(name: str, text: str, *, is_private: bool) -> None:
    try:
        fits = is_web_url(text, is_private=is_private) and not urlsplit(text).query
    except ValueError:
        fits = False
    if not fits:
        raise BringUpFailed(
            f"{name} must be an https:// URL without user, query and fragment; plain http:// only with "
            "PLANVAULT_OIDC_PRIVATE=true."
        )
