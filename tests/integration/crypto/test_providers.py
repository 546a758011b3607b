"""One contract for every provider of key-encryption keys, and what is peculiar to each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from time import monotonic
from uuid import UUID

import pytest
from moto import mock_aws

from models.ids import OrgId
from planvault.clock import TimeOrderedIds
from planvault.crypto.aws import AwsKeyWrapper, KmsClient, kms_client
from planvault.crypto.kek import KeyPlace, KeyWrapper, LocalKeyWrapper, WrappedKey
from planvault.crypto.keyring import DataKeyRow, TenantKeyring, TenantKeys
from planvault.crypto.keyset import Keyset
from planvault.crypto.providers import KeyProviders
from planvault.crypto.vault import VaultKeyWrapper, VaultToken
from planvault.errors import DecryptionFailed, Unavailable
from planvault.ports import Seal
from tests.integration.crypto.vault_server import VaultServer, vault_server

KEY = bytes(range(32))
PLACE = KeyPlace(OrgId(UUID(int=1)), "org", UUID(int=2), 3)
ELSEWHERE = [
    replace(PLACE, org_id=OrgId(UUID(int=9))),
    replace(PLACE, purpose="hmac"),
    replace(PLACE, key_id=UUID(int=9)),
    replace(PLACE, version=4),
]


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")


@pytest.fixture
def kms(credentials: None) -> Iterator[KmsClient]:
    with mock_aws():
        yield kms_client("eu-central-1")


def new_key(kms: KmsClient) -> str:
    return str(kms.create_key()["KeyMetadata"]["KeyId"])  # type: ignore[attr-defined]


@pytest.fixture
def vault() -> Iterator[VaultServer]:
    with vault_server() as server:
        yield server


@pytest.fixture
async def transit(vault: VaultServer) -> AsyncIterator[VaultKeyWrapper]:
    wrapper = VaultKeyWrapper(vault.url, "planvault", VaultToken("token"))
    yield wrapper
    await wrapper.aclose()


@pytest.fixture(params=["local", "aws-kms", "vault-transit"])
def wrapper(request: pytest.FixtureRequest, kms: KmsClient, transit: VaultKeyWrapper) -> KeyWrapper:
    made: dict[str, KeyWrapper] = {
        "local": LocalKeyWrapper(Keyset("kek", {"kek": bytes(32)})),
        "aws-kms": AwsKeyWrapper(kms, new_key(kms)),
        "vault-transit": transit,
    }
    return made[request.param]


# ── the contract ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_wrapped_key_unwraps_and_names_who_wrapped_it(wrapper: KeyWrapper) -> None:
    wrapped = await wrapper.wrap(KEY, PLACE)
    assert await wrapper.unwrap(wrapped, PLACE) == KEY
    assert wrapped.wrapped_by == await wrapper.current()
    assert KEY not in wrapped.blob


async def test_the_same_key_is_never_wrapped_alike(wrapper: KeyWrapper) -> None:
    assert (await wrapper.wrap(KEY, PLACE)).blob != (await wrapper.wrap(KEY, PLACE)).blob


async def test_a_provider_proves_that_it_gives_back_what_it_is_given(wrapper: KeyWrapper) -> None:
    await KeyProviders.only(wrapper).prove(wrapper.name)


async def test_a_provider_that_refuses_proves_nothing(vault: VaultServer) -> None:
    refused = VaultKeyWrapper(vault.url, "planvault", VaultToken("another"))
    with pytest.raises(Unavailable, match="permission denied"):
        await KeyProviders.only(refused).prove("vault-transit")
    await refused.aclose()


@pytest.mark.parametrize("place", ELSEWHERE, ids=["organisation", "purpose", "key", "version"])
async def test_a_wrapped_key_unwraps_in_no_other_place(wrapper: KeyWrapper, place: KeyPlace) -> None:
    wrapped = await wrapper.wrap(KEY, PLACE)
    with pytest.raises(DecryptionFailed):
        await wrapper.unwrap(wrapped, place)


async def test_a_changed_blob_does_not_unwrap(wrapper: KeyWrapper) -> None:
    wrapped = await wrapper.wrap(KEY, PLACE)
    middle = len(wrapped.blob) - 20  # of the text as well: a letter of base64 that counts
    letter = b"A" if wrapped.blob[middle : middle + 1] != b"A" else b"B"
    for blob in (b"", b"x", wrapped.blob[:middle] + letter + wrapped.blob[middle + 1 :], wrapped.blob[:-8]):
        with pytest.raises((DecryptionFailed, Unavailable)):
            await wrapper.unwrap(WrappedKey(blob, wrapped.wrapped_by), PLACE)


async def test_a_key_of_another_kek_is_refused_by_its_name(wrapper: KeyWrapper) -> None:
    wrapped = await wrapper.wrap(KEY, PLACE)
    with pytest.raises(DecryptionFailed):
        await wrapper.unwrap(WrappedKey(wrapped.blob, "arn:aws:kms:eu-central-1:666:key/attacker"), PLACE)


# ── AWS KMS ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_former_kms_key_unwraps_only_where_it_is_named(kms: KmsClient) -> None:
    old, new = new_key(kms), new_key(kms)
    wrapped = await AwsKeyWrapper(kms, old).wrap(KEY, PLACE)
    assert await AwsKeyWrapper(kms, new, [old]).unwrap(wrapped, PLACE) == KEY
    with pytest.raises(DecryptionFailed, match="does not trust"):
        await AwsKeyWrapper(kms, new).unwrap(wrapped, PLACE)


async def test_a_kms_that_is_away_is_unavailable() -> None:
    away = AwsKeyWrapper(kms_client("eu-central-1", "http://127.0.0.1:9"), "key")
    with pytest.raises(Unavailable, match="does not answer"):
        await away.wrap(KEY, PLACE)


async def test_a_kms_that_refuses_is_unavailable(kms: KmsClient) -> None:
    with pytest.raises(Unavailable, match="NotFoundException"):
        await AwsKeyWrapper(kms, "00000000-0000-0000-0000-000000000000").wrap(KEY, PLACE)


# ── Vault ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_after_vaults_own_rotation_old_versions_unwrap_until_its_operator_says_no(
    vault: VaultServer, transit: VaultKeyWrapper
) -> None:
    wrapped = await transit.wrap(KEY, PLACE)
    assert wrapped.wrapped_by == "transit/planvault:v1"
    vault.rotate()
    assert await transit.unwrap(wrapped, PLACE) == KEY
    assert await transit.current() == "transit/planvault:v2", "what v1 wrapped is to be wrapped again"
    vault.min_decryption_version = 2
    with pytest.raises(Unavailable, match="min_decryption_version"):
        await transit.unwrap(wrapped, PLACE)


async def test_a_version_that_is_not_the_named_one_is_refused(vault: VaultServer, transit: VaultKeyWrapper) -> None:
    wrapped = await transit.wrap(KEY, PLACE)
    with pytest.raises(DecryptionFailed):
        await transit.unwrap(WrappedKey(wrapped.blob, "transit/planvault:v2"), PLACE)


async def test_a_key_that_does_not_authenticate_is_refused(vault: VaultServer, transit: VaultKeyWrapper) -> None:
    vault.kind = "rsa-2048"
    with pytest.raises(Unavailable, match="aes256-gcm96"):
        await transit.current()


async def test_a_token_is_renewed_before_it_ends(vault: VaultServer, transit: VaultKeyWrapper) -> None:
    await transit.wrap(KEY, PLACE)
    async with asyncio.timeout(5):
        while not vault.renewed:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("instead", [{"status": "maintenance"}, [], "down", {"data": None}, {"data": {}}])
async def test_what_answers_in_vaults_place_is_no_answer_of_vaults(
    vault: VaultServer, transit: VaultKeyWrapper, instead: object
) -> None:
    wrapped = await transit.wrap(KEY, PLACE)
    vault.instead = instead
    for ask in (transit.wrap(KEY, PLACE), transit.unwrap(wrapped, PLACE), transit.current()):
        with pytest.raises(Unavailable, match="not as Vault does"):
            await ask


async def test_a_token_is_renewed_after_something_else_has_answered_in_vaults_place(
    vault: VaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("planvault.crypto.vault._SOON_S", 0.01)
    wrapper = VaultKeyWrapper(vault.url, "planvault", VaultToken("token"))
    vault.instead = {"status": "maintenance"}
    with pytest.raises(Unavailable):
        await wrapper.wrap(KEY, PLACE)
    async with asyncio.timeout(5):
        while "GET /v1/auth/token/lookup-self" not in vault.asked:
            await asyncio.sleep(0.01)
    vault.instead = None
    async with asyncio.timeout(5):
        while not vault.renewed:
            await asyncio.sleep(0.01)
    await wrapper.aclose()


async def test_a_token_file_that_the_agent_replaced_is_read_again(vault: VaultServer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("stale\n")
    wrapper = VaultKeyWrapper(vault.url, "planvault", VaultToken(file=file))
    with pytest.raises(Unavailable, match="403"):
        await wrapper.wrap(KEY, PLACE)
    file.write_text("token\n")
    assert await wrapper.unwrap(await wrapper.wrap(KEY, PLACE), PLACE) == KEY
    assert not vault.renewed, "the agent's token is the agent's to renew"
    await wrapper.aclose()


# ── a provider that is slow ──────────────────────────────────────────────────────────────────────────────────────────


class Rows:
    def __init__(self, rows: dict[OrgId, TenantKeys]) -> None:
        self.rows = rows

    async def load(self, org_id: OrgId) -> TenantKeys:
        return self.rows[org_id]

    async def add(self, rows: object, provider: str | None = None) -> None:
        raise AssertionError("every organisation has its keys")


class Slow(LocalKeyWrapper):
    """Hangs on the keys of one organisation."""

    slow: OrgId | None = None

    async def unwrap(self, wrapped: WrappedKey, place: KeyPlace) -> bytes:
        if place.org_id == self.slow:
            await asyncio.Event().wait()
        return await super().unwrap(wrapped, place)


async def tenant_rows(wrapper: KeyWrapper, org: OrgId, version: int = 1, status: str = "active") -> list[DataKeyRow]:
    places = [KeyPlace(org, purpose, TimeOrderedIds().new(), version) for purpose in ("org", "hmac")]
    return [DataKeyRow(place, await wrapper.wrap(KEY, place), status) for place in places]


async def test_a_slow_provider_stalls_no_other_organisation_and_its_own_waits_once() -> None:
    wrapper = Slow(Keyset("kek", {"kek": bytes(32)}))
    slow, quick = OrgId(UUID(int=1)), OrgId(UUID(int=2))
    rows = Rows({org: TenantKeys("local", await tenant_rows(wrapper, org)) for org in (slow, quick)})
    wrapper.slow = slow
    ring = TenantKeyring(rows, KeyProviders({"local": wrapper}, "local", answer_s=0.2), TimeOrderedIds())
    waiting = [asyncio.create_task(ring.cipher(slow)) for _ in range(20)]
    await asyncio.sleep(0)
    started = monotonic()
    await ring.cipher(quick)
    assert monotonic() - started < 0.1
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert monotonic() - started < 2, "twenty callers do not each wait for the provider"


async def test_an_organisation_whose_keys_are_known_works_on_while_the_provider_is_away() -> None:
    wrapper, org = Slow(Keyset("kek", {"kek": bytes(32)})), OrgId(UUID(int=1))
    known = await tenant_rows(wrapper, org)
    rows = Rows({org: TenantKeys("local", known)})
    clock = [0.0]
    providers = KeyProviders({"local": wrapper}, "local", answer_s=0.05)
    ring = TenantKeyring(rows, providers, TimeOrderedIds(), elapsed=lambda: clock[0])
    place = Seal("table:t", "t", "1", "c")
    sealed = (await ring.cipher(org)).seal(b"x", place)
    [fresh, _] = await tenant_rows(wrapper, org, 2)
    later = TenantKeyring(Rows({org: TenantKeys("local", [*known, fresh])}), providers, TimeOrderedIds())
    by_the_new_key = (await later.cipher(org)).seal(b"y", place)
    wrapper.slow, clock[0] = org, 31.0
    rows.rows[org] = TenantKeys("local", [*known, fresh])
    cipher = await ring.cipher(org)
    assert cipher.open(sealed, place) == b"x"
    assert cipher.open(cipher.seal(b"z", place), place) == b"z"
    with pytest.raises(Unavailable, match="provider is away"):
        cipher.open(by_the_new_key, place)  # later, and not: never
    wrapper.slow, clock[0] = None, 62.0
    assert (await ring.cipher(org)).open(by_the_new_key, place) == b"y"


async def test_what_is_kept_of_organisations_is_bounded() -> None:
    wrapper = LocalKeyWrapper(Keyset("kek", {"kek": bytes(32)}))
    orgs = [OrgId(UUID(int=number)) for number in range(1, 9)]
    rows = Rows({org: TenantKeys("local", await tenant_rows(wrapper, org)) for org in orgs})
    ring = TenantKeyring(rows, wrapper, TimeOrderedIds(), most=3)
    for org in orgs:
        await ring.cipher(org)
    assert len(ring._tenants) == 3
