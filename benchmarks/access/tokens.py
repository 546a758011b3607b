"""`python -m benchmarks.access.tokens [--rounds N]`: what a person's token costs, by algorithm: new, and known."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from statistics import median, quantiles
from time import perf_counter, time
from typing import TypeAlias

import orjson
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey
from rich.console import Console
from rich.table import Table

from benchmarks.machine import facts
from planvault.auth.issuer_keys import IssuerKeys
from planvault.auth.jwks import ALGORITHMS, KeySet, read_key_set
from planvault.auth.keys import digest
from planvault.auth.oidc import Oidc
from planvault.auth.oidc_policy import OidcPolicy
from planvault.clock import SystemClock

ISSUER, AUDIENCE = "https://id.example", "planvault"
Pair: TypeAlias = "RSAKey | ECKey | OKPKey"
PAIRS: dict[str, Callable[[], Pair]] = {
    "RS256": lambda: RSAKey.generate_key(2_048),
    "PS256": lambda: RSAKey.generate_key(2_048),
    "ES256": lambda: ECKey.generate_key("P-256"),
    "ES384": lambda: ECKey.generate_key("P-384"),
    "ES512": lambda: ECKey.generate_key("P-521"),
    "Ed25519": lambda: OKPKey.generate_key("Ed25519"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1_000, help="tokens an algorithm")
    rounds: int = parser.parse_args().rounds
    console = Console()
    console.print(", ".join(f"{name}: {value}" for name, value in facts().items()))
    table = Table("algorithm", "new p50 µs", "new p99 µs", "known p50 µs", "known p99 µs")
    for algorithm in PAIRS:
        new, known = asyncio.run(_measured(algorithm, rounds))
        table.add_row(algorithm, *(f"{value:,.1f}" for times in (new, known) for value in _shown(times)))
    console.print(table)


async def _measured(algorithm: str, rounds: int) -> tuple[list[float], list[float]]:
    pair = PAIRS[algorithm]()
    told = {**pair.as_dict(private=False), "kid": algorithm, "alg": algorithm, "use": "sig"}
    keys = IssuerKeys(_Published(read_key_set(orjson.dumps({"keys": [told]}))))
    oidc = Oidc(OidcPolicy(ISSUER, frozenset({AUDIENCE})), keys, SystemClock())
    now = int(time())
    texts = [_token(pair, algorithm, number, now) for number in range(rounds + 1)]
    async with keys.running():
        await oidc.identify(texts[0], digest(texts[0]))
        new = [await _timed(oidc.identify(text, digest(text))) for text in texts[1:]]
        known = [await _timed(oidc.identify(text, digest(text))) for text in texts[1:]]
    return new, known


class _Published:
    def __init__(self, keys: KeySet) -> None:
        self._keys = keys

    async def fetch(self) -> KeySet:
        return self._keys


def _token(pair: Pair, algorithm: str, number: int, now: int) -> str:
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "1", "iat": now, "exp": now + 3_600, "jti": str(number)}
    header = {"alg": algorithm, "kid": algorithm, "typ": "JWT"}
    return jws.serialize_compact(header, orjson.dumps(claims), pair, sorted(ALGORITHMS))


async def _timed(work: Awaitable[object]) -> float:
    started = perf_counter()
    await work
    return (perf_counter() - started) * 1e6


def _shown(times: list[float]) -> tuple[float, float]:
    return median(times), quantiles(times, n=100)[98]


if __name__ == "__main__":
    main()
