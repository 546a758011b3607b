"""Wycheproof's AES-GCM vectors: through the library, and through the AEAD inside our committing key."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from planvault.crypto.committing import COMMITMENT_BYTES, CommittingKey
from planvault.errors import DecryptionFailed
from tests.unit.crypto.wycheproof import groups

FILE = "Cipher/wycheproof/aes_gcm_test.json"
ALL = [(group, test) for group, tests in groups(FILE) for test in tests]
OURS = [
    test for group, test in ALL if (group["keySize"], group["ivSize"], group["tagSize"]) == (256, 96, 128)
]  # what an envelope uses


def parts(test: dict[str, Any]) -> tuple[bytes, bytes, bytes, bytes, bytes]:
    """Key, nonce, associated data, message, ciphertext with tag."""
    values = {name: bytes.fromhex(test[name]) for name in ("key", "iv", "aad", "msg", "ct", "tag")}
    return values["key"], values["iv"], values["aad"], values["msg"], values["ct"] + values["tag"]


def committing(key: bytes) -> CommittingKey:
    """A committing key whose derivation would have given this encryption key."""
    made = CommittingKey(bytes(32), salt=b"", info=b"wycheproof")
    made._aead = AESGCM(key)
    return made


def test_there_are_vectors_of_both_kinds() -> None:
    assert len(ALL) > 200
    assert {test["result"] for test in OURS} == {"valid", "invalid"}
    assert len(OURS) > 40


@pytest.mark.parametrize("test", [test for _, test in ALL], ids=lambda test: f"{test['tcId']}")
def test_the_library_agrees_with_every_vector(test: dict[str, Any]) -> None:
    key, nonce, aad, message, sealed = parts(test)
    if not 8 <= len(nonce) <= 128:  # the library takes no others, valid or not
        with pytest.raises(ValueError, match=r"[Nn]once"):
            AESGCM(key).decrypt(nonce, sealed, aad)
    elif test["result"] == "valid":
        assert AESGCM(key).decrypt(nonce, sealed, aad) == message
        assert AESGCM(key).encrypt(nonce, message, aad) == sealed
    elif test["result"] == "invalid":
        with pytest.raises(InvalidTag):
            AESGCM(key).decrypt(nonce, sealed, aad)


@pytest.mark.parametrize("test", OURS, ids=lambda test: f"{test['tcId']}")
def test_a_committing_key_agrees_with_every_vector_of_its_sizes(test: dict[str, Any]) -> None:
    key, nonce, aad, message, sealed = parts(test)
    ours = committing(key)
    commitment = ours.seal(b"", b"", nonce=bytes(12))[12 : 12 + COMMITMENT_BYTES]
    stored = nonce + commitment + sealed
    if test["result"] == "valid":
        assert ours.open(stored, aad) == message
        assert ours.seal(message, aad, nonce=nonce) == stored
    else:
        with pytest.raises(DecryptionFailed):
            ours.open(stored, aad)
    with pytest.raises(DecryptionFailed, match="another key"):
        ours.open(nonce + bytes(COMMITMENT_BYTES) + sealed, aad)
