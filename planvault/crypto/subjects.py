"""Keys of external users: what a session of such a user holds is sealed with a key of that person's own.

A user's key is wrapped by the organisation's data key, in the same envelope as everything else. Destroying it destroys
what the person left, wherever copies of the ciphertext are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import NamedTuple, Protocol
from uuid import UUID

from models.ids import OrgId, SessionId
from models.tenants import SessionScope
from planvault.crypto.committing import KEY_BYTES
from planvault.crypto.envelope import DataKey, EnvelopeCipher, read_header
from planvault.crypto.kek import KeyPlace, KeyWrapper, WrappedKey
from planvault.crypto.kept import Kept
from planvault.crypto.keyring import USER, DataKeyRow, DataKeyRows, TenantKeyring, newest_active
from planvault.crypto.providers import KeyProviders
from planvault.ports import Ids, OrgCipher, Seal

_MOST_SESSIONS = 50_000  # two ids and a hash each
_MOST_SUBJECTS = 10_000
USER_REFRESH_S = 5.0
"""A user's key that was destroyed is used by no process for longer: people come back, and are not to wait."""


class SessionOwner(NamedTuple):
    """Whose session it is (`sessions.external_user_hmac`; None: nobody's), and the newest key of that person."""

    subject: bytes | None
    key_id: UUID | None


class UserKeyRows(Protocol):
    """Where users' keys are kept. planvault.storage.keys implements it."""

    async def owner(self, scope: SessionScope) -> SessionOwner | None:
        """None: there is no such session (yet)."""
        ...

    async def of_user(self, org_id: OrgId, subject: bytes) -> Sequence[DataKeyRow]:
        """All keys of the user, the destroyed ones included."""
        ...

    async def add_user(self, row: DataKeyRow, subject: bytes) -> None:
        """Insert, unless the user has a key of this version: the first writer wins."""
        ...


def wrapped_seal(key_id: UUID) -> Seal:
    """Where a user's data key is sealed under the organisation's."""
    return Seal("table:data_keys", "data_keys", str(key_id), "wrapped")


class SubjectCipher:
    """Implements OrgCipher: seals with the user's key, opens that and what the organisation's keys sealed."""

    __slots__ = ("_organisation", "_own")

    def __init__(self, own: EnvelopeCipher, organisation: EnvelopeCipher) -> None:
        self._own = own
        self._organisation = organisation

    def seal(self, plaintext: bytes, place: Seal) -> bytes:
        return self._own.seal(plaintext, place)

    def open(self, envelope: bytes, place: Seal) -> bytes:
        own = self._own.has(read_header(envelope).key_id)
        return (self._own if own else self._organisation).open(envelope, place)


@dataclass(slots=True)
class _User:
    own: EnvelopeCipher
    keys: dict[UUID, DataKey]
    loaded_at: float


class SessionKeyring(TenantKeyring):
    """Implements the Keyring port."""

    def __init__(
        self,
        rows: DataKeyRows,
        users: UserKeyRows,
        wrapper: KeyWrapper | KeyProviders,
        ids: Ids,
        *,
        elapsed: Callable[[], float] = monotonic,
    ) -> None:
        super().__init__(rows, wrapper, ids, elapsed=elapsed)
        self._user_rows = users
        self._owners: Kept[tuple[OrgId, SessionId], SessionOwner] = Kept(_MOST_SESSIONS)
        self._users: Kept[tuple[OrgId, bytes], _User] = Kept(_MOST_SUBJECTS)

    async def session_cipher(self, scope: SessionScope) -> OrgCipher:
        """What seals a session's content: its external user's key where it has one, else the organisation's."""
        place = scope.org_id, scope.session_id  # both: whoever names another's session learns nothing of its owner
        owner = self._owners.get(place)
        if owner is None:
            owner = await self._user_rows.owner(scope)
            if owner is None:  # nothing is remembered of a session that may only not be committed yet
                return await self.cipher(scope.org_id)
            self._owners.put(place, owner)
            self._look_again(scope.org_id, owner)
        return await self.subject_cipher(scope.org_id, owner.subject)

    async def new_session_cipher(self, scope: SessionScope, subject: bytes | None) -> OrgCipher:
        """The same for a session that is being made: nobody else can see its row yet."""
        cipher = await self.subject_cipher(scope.org_id, subject)
        self._owners.put((scope.org_id, scope.session_id), SessionOwner(subject, None))
        return cipher

    async def subject_cipher(self, org_id: OrgId, subject: bytes | None) -> OrgCipher:
        """The user's cipher, the key made the first time; the organisation's for None.

        A person whose key was destroyed and who comes back gets another one.
        """
        organisation = await self.cipher(org_id)
        if subject is None:
            return organisation
        known = self._users.get((org_id, subject))
        if known is None or self._elapsed() - known.loaded_at >= USER_REFRESH_S:
            async with self._users.lock((org_id, subject)):
                known = self._users.get((org_id, subject))
                if known is None or self._elapsed() - known.loaded_at >= USER_REFRESH_S:
                    known = await self._load_user(org_id, subject, organisation, known)
                    self._users.put((org_id, subject), known)
        # The organisation's cipher may be another object than when the user was met: it was forgotten, and read again.
        return SubjectCipher(known.own, organisation)

    def forget_user(self, org_id: OrgId, subject: bytes) -> None:
        """Read the user's keys again at the next call."""
        self._users.forget((org_id, subject))

    def _look_again(self, org_id: OrgId, owner: SessionOwner) -> None:
        """A session met for the first time may know a newer key than this process: another made it meanwhile."""
        if owner.subject is None or owner.key_id is None:
            return
        known = self._users.get((org_id, owner.subject))
        if known is not None and owner.key_id not in known.keys:
            self._users.forget((org_id, owner.subject))

    async def _load_user(
        self, org_id: OrgId, subject: bytes, organisation: EnvelopeCipher, before: _User | None
    ) -> _User:
        started = self._elapsed()
        rows = await self._user_rows.of_user(org_id, subject)
        if not any(row.status == "active" for row in rows):
            version = 1 + max((row.place.version for row in rows), default=0)
            made = await self._make_user_key(org_id, organisation, version)
            # Two processes may do this at once: the database keeps the first row, and both read that.
            await self._user_rows.add_user(made, subject)
            rows = await self._user_rows.of_user(org_id, subject)
        living = [row for row in rows if row.status != "destroyed"]
        known = before.keys if before else {}
        keys = {row.place.key_id: known.get(row.place.key_id) or self._open_key(organisation, row) for row in living}
        writer = newest_active(living).place.key_id
        if before is None:
            return _User(EnvelopeCipher(org_id, keys, writer), keys, started)
        before.own.use_keys(keys, writer)
        before.keys, before.loaded_at = keys, started
        return before

    async def _make_user_key(self, org_id: OrgId, organisation: EnvelopeCipher, version: int) -> DataKeyRow:
        place = KeyPlace(org_id, USER, self._ids.new(), version)
        sealed = organisation.seal(os.urandom(KEY_BYTES), wrapped_seal(place.key_id))
        tenant = await self.tenant(org_id)
        return DataKeyRow(place, WrappedKey(sealed, str(read_header(sealed).key_id)), generation=tenant.generation)

    def _open_key(self, organisation: EnvelopeCipher, row: DataKeyRow) -> DataKey:
        material = organisation.open(row.wrapped.blob, wrapped_seal(row.place.key_id))
        return DataKey(row.place.key_id, row.place.version, material)
