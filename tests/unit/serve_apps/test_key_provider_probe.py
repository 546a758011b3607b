"""What `/health` says of the providers of key-encryption keys."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from planvault.crypto.kek import KeyPlace, LocalKeyWrapper, WrappedKey
from planvault.crypto.keyset import Keyset
from planvault.crypto.providers import KeyProviders
from planvault.errors import Unavailable
from serve_apps.readiness import key_provider_probe


@dataclass
class Provider:
    """A KEK of its own that can be switched off, or made to hang."""

    name: str = "vault-transit"
    away: bool = False
    hangs: bool = False
    broken: bool = False
    asked: int = 0
    _kek: LocalKeyWrapper = field(default_factory=lambda: LocalKeyWrapper(Keyset("k", {"k": bytes(32)})))

    async def current(self) -> str:
        raise AssertionError("its operator may not allow that")

    async def wrap(self, key: bytes, place: KeyPlace) -> WrappedKey:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.away:
            raise Unavailable("Vault refused with 403: hvs.canary")
        if self.broken:
            raise KeyError("data")
        return await self._kek.wrap(key, place)

    async def unwrap(self, wrapped: WrappedKey, place: KeyPlace) -> bytes:
        return await self._kek.unwrap(wrapped, place)


@dataclass
class Elapsed:
    seconds: float = 100.0

    def __call__(self) -> float:
        return self.seconds


async def test_a_replica_whose_provider_never_answered_is_not_ready_and_strangers_are_not_told_why() -> None:
    vault = Provider(away=True)
    part = await key_provider_probe(KeyProviders.only(vault))()
    assert (part.ready, part.needed) == (False, True)
    assert "vault-transit" in part.detail
    assert "canary" not in part.detail


async def test_once_it_has_answered_its_absence_only_informs() -> None:
    vault, elapsed = Provider(), Elapsed()
    ask = key_provider_probe(KeyProviders.only(vault), elapsed)
    assert (await ask()).ready
    vault.away = True
    elapsed.seconds += 60
    part = await ask()
    assert (part.ready, part.needed) == (False, False)


async def test_an_answer_that_nobody_foresaw_takes_no_replica_out_of_service() -> None:
    """A proxy in front of Vault answers 200 with something of its own: to every replica at once."""
    vault, elapsed = Provider(), Elapsed()
    ask = key_provider_probe(KeyProviders.only(vault), elapsed)
    assert (await ask()).ready
    vault.broken = True
    elapsed.seconds += 60
    part = await ask()
    assert (part.ready, part.needed) == (False, False)


async def test_one_that_hangs_is_no_part_that_takes_replicas_out_of_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_apps.readiness.PROBE_S", 0.05)
    local, vault = Provider("local"), Provider(hangs=True)
    part = await key_provider_probe(KeyProviders({"local": local, "vault-transit": vault}, "local"))()
    assert (part.ready, part.needed) == (False, False)
    assert "local" not in part.detail


async def test_providers_are_asked_seldom_and_sooner_while_one_is_away() -> None:
    vault, elapsed = Provider(), Elapsed()
    ask = key_provider_probe(KeyProviders.only(vault), elapsed)
    for _ in range(5):
        await ask()
    assert vault.asked == 1
    vault.away = True
    elapsed.seconds += 20
    assert not (await ask()).ready
    vault.away = False
    elapsed.seconds += 6
    assert (await ask()).ready
