"""Plain AES-GCM opens one ciphertext under two chosen keys; ours does not."""

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from planvault.crypto.committing import CommittingKey
from planvault.errors import DecryptionFailed

SALT, INFO = b"salt", b"info"
NONCE = bytes(12)
AAD = b"sixteen bytes ad"


def derived(material: bytes) -> tuple[bytes, bytes]:
    """(encryption key, commitment), as the document describes them."""
    okm = HKDF(algorithm=SHA256(), length=64, salt=SALT, info=INFO).derive(material)
    return okm[:32], okm[32:]


# GF(2^128) with GCM's reflected bit order (NIST SP 800-38D, 6.3).


def multiply(x: int, y: int) -> int:
    product = 0
    for bit in range(127, -1, -1):
        if (x >> bit) & 1:
            product ^= y
        y = (y >> 1) ^ (0xE1 << 120 if y & 1 else 0)
    return product


def power(x: int, exponent: int) -> int:
    result = 1 << 127  # the one of this field
    while exponent:
        if exponent & 1:
            result = multiply(result, x)
        x, exponent = multiply(x, x), exponent >> 1
    return result


def block(key: bytes, data: bytes) -> int:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()  # a single block: GCM's own building stone
    return int.from_bytes(encryptor.update(data) + encryptor.finalize(), "big")


def opens_under_both(key_a: bytes, key_b: bytes) -> bytes:
    """Ciphertext and tag (48 bytes) that plain GCM accepts under two keys: two linear tags made equal in one block."""
    h_a, h_b = block(key_a, bytes(16)), block(key_b, bytes(16))
    mask_a, mask_b = (block(key, NONCE + b"\0\0\0\1") for key in (key_a, key_b))
    aad = int.from_bytes(AAD, "big")
    first = int.from_bytes(b"any first block!", "big")
    lengths = (128 << 64) | 256
    right = mask_a ^ mask_b
    for coefficient, exponent in ((aad, 4), (first, 3), (lengths, 1)):
        right ^= multiply(coefficient, power(h_a, exponent) ^ power(h_b, exponent))
    second = multiply(right, power(power(h_a, 2) ^ power(h_b, 2), 2**128 - 2))
    tag = mask_a
    for coefficient, exponent in ((aad, 4), (first, 3), (second, 2), (lengths, 1)):
        tag ^= multiply(coefficient, power(h_a, exponent))
    return b"".join(number.to_bytes(16, "big") for number in (first, second, tag))


def test_a_ciphertext_forged_to_open_under_two_keys_opens_under_the_committed_one_only() -> None:
    mine, theirs = bytes(range(32)), bytes(range(32, 64))
    (key_mine, commitment), (key_theirs, _) = derived(mine), derived(theirs)
    forged = opens_under_both(key_mine, key_theirs)

    # The attack is real: plain GCM takes the same bytes under both keys, with two meanings.
    assert AESGCM(key_mine).decrypt(NONCE, forged, AAD) != AESGCM(key_theirs).decrypt(NONCE, forged, AAD)

    sealed = NONCE + commitment + forged
    assert CommittingKey(mine, salt=SALT, info=INFO).open(sealed, AAD)
    with pytest.raises(DecryptionFailed, match="another key"):
        CommittingKey(theirs, salt=SALT, info=INFO).open(sealed, AAD)


def test_keys_for_different_uses_of_one_material_do_not_open_each_other() -> None:
    sealed = CommittingKey(bytes(32), salt=SALT, info=b"one").seal(b"x", b"", nonce=NONCE)
    for other in (
        CommittingKey(bytes(32), salt=SALT, info=b"two"),
        CommittingKey(bytes(32), salt=b"else", info=b"one"),
    ):
        with pytest.raises(DecryptionFailed):
            other.open(sealed, b"")


def test_key_material_of_another_size_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        CommittingKey(bytes(16), salt=b"", info=b"")
