"""What a verified token says about its bearer, judged by the operator's policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from models.access import plain_address
from planvault.auth.oidc_policy import OidcPolicy
from planvault.errors import NotAuthenticated

_LONGEST_SUBJECT = 1_024  # OpenID Connect allows 255 ASCII characters; some issuers write more
_LONGEST_TEXT = 320
_LATEST = 32_503_680_000  # the year 3000: later times are no times, and some are no datetime
_MOST_AUDIENCES = 100


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the issuer says the bearer is, until when. `issuer` and `subject` together are the person."""

    issuer: str
    subject: str
    email: str  # as the issuer spells it; empty where it tells none
    email_verified: bool
    name: str
    expires_at: datetime
    is_operator: bool

    @property
    def verified_email(self) -> str:
        return plain_address(self.email) if self.email_verified else ""


def identity_of(claims: Mapping[str, Any], policy: OidcPolicy, now: datetime) -> Identity:
    """Raises NotAuthenticated with what is wrong; no claim is repeated."""
    if claims.get("iss") != policy.issuer:
        raise NotAuthenticated("The token is of another issuer than this API trusts.")
    _check_audience(claims, policy)
    _check_kind(claims)
    expires_at = _times(claims, policy, now)
    subject = claims.get(policy.subject_claim)
    if not isinstance(subject, str) or not 0 < len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
        raise NotAuthenticated(f"The token has no usable claim `{policy.subject_claim}`: it does not say who this is.")
    email = _text(claims, policy.email_claim)
    verified = bool(email) and (policy.emails_are_verified or claims.get(f"{policy.email_claim}_verified") is True)
    found = Identity(
        issuer=policy.issuer,
        subject=subject,
        email=email,
        email_verified=verified,
        name=_text(claims, "name") or _text(claims, "preferred_username"),
        expires_at=expires_at,
        is_operator=False,
    )
    return found if not _is_operator(found, claims, policy) else _as_operator(found)


def _check_audience(claims: Mapping[str, Any], policy: OidcPolicy) -> None:
    told = claims.get("aud")
    audiences = [told] if isinstance(told, str) else told if isinstance(told, list) else []
    if not policy.audiences.intersection(a for a in audiences[:_MOST_AUDIENCES] if isinstance(a, str)):
        raise NotAuthenticated("The token was made for another API: its `aud` names none of this one's audiences.")
    if policy.clients:
        # The client that asked for it: Keycloak, Auth0, Entra v2 · RFC 9068 · Entra v1.
        client = next((claims[name] for name in ("azp", "client_id", "appid") if name in claims), None)
        if not isinstance(client, str) or client not in policy.clients:
            raise NotAuthenticated("The token was made for an application that may not call this API.")


def _check_kind(claims: Mapping[str, Any]) -> None:
    """Other tokens of the same issuer, signed with the same keys, are no access tokens that a bearer may use."""
    # Keycloak writes into the claim what others write into the header: Bearer, ID, Refresh, Offline, Logout, DPoP.
    if str(claims.get("typ", "Bearer")).casefold() not in ("bearer", "jwt", "at+jwt"):
        raise NotAuthenticated("The token is no access token.")
    if "at_hash" in claims or "c_hash" in claims:
        raise NotAuthenticated("The token is an ID token; send the access token.")
    if "events" in claims:
        raise NotAuthenticated("The token is a message of the issuer (RFC 8417), no access token.")
    if "cnf" in claims:
        raise NotAuthenticated(
            "The token is bound to a key of its holder (RFC 9449, RFC 8705), which this API cannot check: ask the "
            "issuer for a bearer token."
        )


def _times(claims: Mapping[str, Any], policy: OidcPolicy, now: datetime) -> datetime:
    """When the token ends. `exp` is required; of `nbf` and `iat` those that are there must lie in the past."""
    at = now.timestamp()
    expires = _time(claims, "exp")
    if expires is None:
        raise NotAuthenticated("The token never expires (it has no `exp`), so it is not accepted.")
    if at >= expires + policy.leeway_s:
        raise NotAuthenticated("The token has expired. Sign in again.")
    for name in ("nbf", "iat"):
        since = _time(claims, name)
        if since is not None and since > at + policy.leeway_s:
            raise NotAuthenticated(f"The token is not valid yet (`{name}`). Are the clocks of issuer and API right?")
    return datetime.fromtimestamp(expires, UTC)


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    """A NumericDate (RFC 7519 §2), None where there is none."""
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LATEST:
        raise NotAuthenticated(f"The token's `{name}` is not a time.")
    return float(value)


def _text(claims: Mapping[str, Any], name: str) -> str:
    """A claim that people read; whatever is not text of one line is none."""
    value = claims.get(name)
    usable = isinstance(value, str) and len(value) <= _LONGEST_TEXT and value.isprintable()
    return value.strip() if usable and isinstance(value, str) else ""


def _is_operator(who: Identity, claims: Mapping[str, Any], policy: OidcPolicy) -> bool:
    # A subject that looks like an address is not that address: some issuers let people choose it.
    if "@" not in who.subject and who.subject in policy.operators:
        return True
    if who.verified_email and who.verified_email in policy.operators:
        return True
    if not policy.operator_claim or not policy.operator_value:
        return False
    told = _claim_at(claims, policy.operator_claim)
    return policy.operator_value in told if isinstance(told, list) else told == policy.operator_value


def _claim_at(claims: Mapping[str, Any], path: str) -> object:
    """A claim by its name; where there is none of that name, by a path of names (Keycloak: realm_access.roles)."""
    if path in claims:  # Auth0 names its own by URLs, with dots
        return claims[path]
    found: object = claims
    for name in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(name)
    return found


def _as_operator(who: Identity) -> Identity:
    return Identity(who.issuer, who.subject, who.email, who.email_verified, who.name, who.expires_at, is_operator=True)
