"""Ciphers of organisations and users, and the places that ciphertexts are bound to."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from models.ids import OrgId, TokenId
from models.tenants import SessionScope


class Seal(NamedTuple):
    """Where a ciphertext lives. It opens nowhere else: table, row and column are bound as associated data.

    `subkey` names what the encryption key is derived for: a session (`session:{id}`) or a table (`table:{name}`).
    """

    subkey: str
    table: str
    row: str
    column: str


class OrgCipher(Protocol):
    """Encrypts under one organisation's data key; the key stays in memory, so no call waits."""

    def seal(self, plaintext: bytes, place: Seal) -> bytes: ...

    def open(self, envelope: bytes, place: Seal) -> bytes:
        """Raises DecryptionFailed where the envelope is another tenant's, another place's, or was changed."""
        ...


class Keyring(Protocol):
    async def cipher(self, org_id: OrgId) -> OrgCipher:
        """The organisation's cipher, its data key unwrapped (and made, the first time)."""
        ...

    async def session_cipher(self, scope: SessionScope) -> OrgCipher:
        """What seals a session's content: its external user's own key where it has one, else the organisation's.

        It opens what either of them sealed.
        """
        ...

    async def new_session_cipher(self, scope: SessionScope, subject: bytes | None) -> OrgCipher:
        """The same for a session whose row is being inserted. `subject`: the keyed hash of its external user."""
        ...

    async def subject_cipher(self, org_id: OrgId, subject: bytes | None) -> OrgCipher:
        """The same for what belongs to a user and no session, by the keyed hash; None: the organisation's."""
        ...


class SignalSecrets(Protocol):
    """Secrets of signals' tokens: derived from a key of the organisation, kept nowhere."""

    async def signal_secret(self, org_id: OrgId | None, token_id: TokenId) -> str:
        """43 URL-safe characters. None for the organisation of a token that nobody knows: as long in coming."""
        ...
