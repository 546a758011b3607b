"""API keys, service tokens and admin tokens: 256 random bits, kept only as their SHA-256.

A fast hash is right here: there is nothing to guess in 256 random bits (OWASP: no key stretching for random tokens).
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

PROJECT_PREFIX = "sk_live_"
SERVICE_PREFIX = "st_live_"
ADMIN_PREFIX = "pv_admin_"
INVITATION_PREFIX = "pv_invite_"
_RANDOM_BYTES = 32
_PREVIEW_CHARACTERS = 4


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key at the only moment when its text exists. `repr` shows the preview."""

    text: str
    sha256: bytes
    preview: str

    def __repr__(self) -> str:
        return f"NewKey(…{self.preview})"


def new_project_key() -> NewKey:
    return _new(PROJECT_PREFIX)


def new_service_token() -> NewKey:
    return _new(SERVICE_PREFIX)


def new_admin_token() -> NewKey:
    return _new(ADMIN_PREFIX)


def new_invitation() -> NewKey:
    return _new(INVITATION_PREFIX)


def digest(text: str) -> bytes:
    """SHA-256 of a key, 32 bytes: what is stored and looked up."""
    return hashlib.sha256(text.encode()).digest()


def _new(prefix: str) -> NewKey:
    text = prefix + secrets.token_urlsafe(_RANDOM_BYTES)
    return NewKey(text, digest(text), text[-_PREVIEW_CHARACTERS:])
