"""AES-256-GCM that commits to its key.

Plain GCM lets someone who chooses two keys build one ciphertext that opens under both ("invisible salamanders", Dodis
et al. 2018; Albertini et al. 2022). Here HKDF-SHA256 (RFC 5869) expands the key material to 64 bytes: the first 32
encrypt, the last 32 are the commitment. It travels with the ciphertext and is compared, in constant time, before
anything is opened. Two keys with one commitment would be a collision in SHA-256.
"""

from __future__ import annotations

import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from planvault.errors import DecryptionFailed

KEY_BYTES = 32
NONCE_BYTES = 12
COMMITMENT_BYTES = 32
TAG_BYTES = 16
OVERHEAD = NONCE_BYTES + COMMITMENT_BYTES + TAG_BYTES


class CommittingKey:
    """One derived key. A sealed value is `nonce (12) ‖ commitment (32) ‖ ciphertext ‖ tag (16)`."""

    __slots__ = ("_aead", "_commitment")

    def __init__(self, material: bytes, *, salt: bytes, info: bytes) -> None:
        """`material`: 32 secret bytes. `salt` and `info` separate the uses of one material; neither is secret."""
        if len(material) != KEY_BYTES:
            raise ValueError(f"key material must be {KEY_BYTES} bytes")
        okm = HKDF(algorithm=SHA256(), length=KEY_BYTES + COMMITMENT_BYTES, salt=salt, info=info).derive(material)
        self._aead = AESGCM(okm[:KEY_BYTES])
        self._commitment = okm[KEY_BYTES:]

    def seal(self, plaintext: bytes, aad: bytes, *, nonce: bytes) -> bytes:
        """`nonce`: 12 bytes, never used twice with one key: random ones, fewer than 2³² a key (NIST SP 800-38D)."""
        return nonce + self._commitment + self._aead.encrypt(nonce, plaintext, aad)

    def open(self, sealed: bytes, aad: bytes) -> bytes:
        """Raises DecryptionFailed for another key, other associated data, or a single changed bit."""
        if len(sealed) < OVERHEAD:
            raise DecryptionFailed("The stored value is shorter than any sealed value; it was cut or is not one.")
        nonce = sealed[:NONCE_BYTES]
        commitment = sealed[NONCE_BYTES : NONCE_BYTES + COMMITMENT_BYTES]
        if not hmac.compare_digest(commitment, self._commitment):
            raise DecryptionFailed("The stored value was sealed with another key.")
        try:
            return self._aead.decrypt(nonce, sealed[NONCE_BYTES + COMMITMENT_BYTES :], aad)
        except InvalidTag:
            raise DecryptionFailed("The stored value was changed, or moved from another place.") from None
