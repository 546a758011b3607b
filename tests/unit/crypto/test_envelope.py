import hmac
import itertools
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from models.ids import OrgId
from planvault.crypto.envelope import ENVELOPE_OVERHEAD, DataKey, EnvelopeCipher, read_header
from planvault.errors import DecryptionFailed
from planvault.ports import Seal

TraceFunction = Callable[[FrameType, str, Any], Any]
ORG = OrgId(UUID("0198a000-0000-7000-8000-0000000000aa"))
OTHER_ORG = OrgId(UUID("0198a000-0000-7000-8000-0000000000bb"))
KEY_ID = UUID("0198a000-0000-7000-8000-000000000001")
NEXT_KEY_ID = UUID("0198a000-0000-7000-8000-000000000002")
KEY = DataKey(KEY_ID, 1, bytes(range(32)))
NEXT_KEY = DataKey(NEXT_KEY_ID, 2, bytes(range(1, 33)))
PLACE = Seal("session:s1", "events", "s1:7", "payload")

# Never change this: rows with this format exist. A new format gets a new first byte and a vector of its own.
GOLDEN = bytes.fromhex(
    "010198a000000070008000000000000001000000016465666768696a6b6c6d6e6f2787190e7d2488de4857b7c553a420bda98cb2da15eccc92"
    "28589b87d8539aaeb341f2e9b0bab70b07bfdd47d9e41d962c936f5403ef9f94af830e45f8d72d"
)
GOLDEN_PLAINTEXT = b'{"msg":"hello"}'


def cipher(org_id: OrgId = ORG, *keys: DataKey) -> EnvelopeCipher:
    held = keys or (KEY,)
    return EnvelopeCipher(org_id, {key.id: key for key in held}, held[-1].id)


def test_the_golden_envelope_opens_in_every_build() -> None:
    assert cipher().open(GOLDEN, PLACE) == GOLDEN_PLAINTEXT


def test_sealing_with_the_golden_nonce_gives_the_golden_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("planvault.crypto.envelope.os.urandom", lambda size: bytes(range(100, 100 + size)))
    assert cipher().seal(GOLDEN_PLAINTEXT, PLACE) == GOLDEN


def test_a_reader_written_from_the_document_alone_opens_the_golden_envelope() -> None:
    """docs/encryption.md, step by step, with nothing of ours."""
    header, nonce, commitment, sealed = GOLDEN[:21], GOLDEN[21:33], GOLDEN[33:65], GOLDEN[65:]
    assert header == b"\x01" + KEY_ID.bytes + (1).to_bytes(4, "big")

    prk = hmac.digest(KEY_ID.bytes, KEY.material, "sha256")
    info = b"planvault/v1/subkey" + ORG.bytes + (1).to_bytes(4, "big") + b"session:s1"
    first = hmac.digest(prk, info + b"\x01", "sha256")
    second = hmac.digest(prk, first + info + b"\x02", "sha256")
    assert commitment == second

    places = b"".join(len(text).to_bytes(4, "big") + text for text in (b"events", b"s1:7", b"payload"))
    assert AESGCM(first).decrypt(nonce, sealed, header + ORG.bytes + places) == GOLDEN_PLAINTEXT


def test_keys_that_are_swapped_in_the_middle_of_a_sealing_leave_an_envelope_of_one_of_them() -> None:
    """Files are sealed in threads, beside the loop that reads keys again. Header and key of two keys open never."""
    held, both = cipher(ORG, KEY, NEXT_KEY), {KEY_ID: KEY, NEXT_KEY_ID: NEXT_KEY}
    writers, before = itertools.cycle((KEY_ID, NEXT_KEY_ID)), sys.gettrace()

    def swaps(frame: FrameType, _event: str, _arg: object) -> TraceFunction:
        if frame.f_code is EnvelopeCipher.seal.__code__:
            held.use_keys(both, next(writers))
        return swaps

    sys.settrace(swaps)
    try:
        sealed = [held.seal(b"x", PLACE) for _ in range(2)]
    finally:
        sys.settrace(before)
    assert [cipher(ORG, KEY, NEXT_KEY).open(each, PLACE) for each in sealed] == [b"x", b"x"]


def test_a_key_that_has_another_version_now_opens_nothing_of_the_old_one() -> None:
    """The material may be right and the row wrong: versions are part of what is derived, and are compared first."""
    moved = DataKey(KEY_ID, 2, KEY.material)
    with pytest.raises(DecryptionFailed, match="does not have"):
        cipher(ORG, moved).open(GOLDEN, PLACE)


def test_a_change_of_any_byte_is_refused() -> None:
    envelope = cipher().seal(b"payload", PLACE)
    for at in range(len(envelope)):
        changed = bytearray(envelope)
        changed[at] ^= 0x01
        with pytest.raises(DecryptionFailed):
            cipher().open(bytes(changed), PLACE)


def test_a_cut_or_extended_envelope_is_refused() -> None:
    envelope = cipher().seal(b"payload", PLACE)
    for size in range(len(envelope)):
        with pytest.raises(DecryptionFailed):
            cipher().open(envelope[:size], PLACE)
    with pytest.raises(DecryptionFailed):
        cipher().open(envelope + b"\0", PLACE)


@pytest.mark.parametrize(
    "elsewhere",
    [
        Seal("session:s2", "events", "s1:7", "payload"),
        Seal("session:s1", "commands", "s1:7", "payload"),
        Seal("session:s1", "events", "s1:8", "payload"),
        Seal("session:s1", "events", "s1:7", "detail"),
        Seal("session:s1", "event", "ss1:7", "payload"),  # the same letters, cut elsewhere
        Seal("session:s1", "events", "s1:7payload", ""),
    ],
)
def test_an_envelope_opens_only_at_its_own_place(elsewhere: Seal) -> None:
    envelope = cipher().seal(b"payload", PLACE)
    with pytest.raises(DecryptionFailed):
        cipher().open(envelope, elsewhere)


def test_an_envelope_does_not_open_in_another_organisation_even_under_the_same_key() -> None:
    envelope = cipher(ORG).seal(b"payload", PLACE)
    with pytest.raises(DecryptionFailed):
        cipher(OTHER_ORG).open(envelope, PLACE)


def test_after_a_rotation_new_envelopes_name_the_new_key_and_old_ones_still_open() -> None:
    rotating = cipher()
    old = rotating.seal(b"old", PLACE)
    rotating.use_keys({KEY.id: KEY, NEXT_KEY.id: NEXT_KEY}, NEXT_KEY.id)
    new = rotating.seal(b"new", PLACE)

    assert read_header(old) == (KEY_ID, 1)
    assert read_header(new) == (NEXT_KEY_ID, 2)
    assert rotating.open(old, PLACE) == b"old"
    assert rotating.open(new, PLACE) == b"new"


def test_a_key_that_was_taken_away_opens_nothing_any_more() -> None:
    shredded = cipher(ORG, KEY, NEXT_KEY)
    envelope = cipher(ORG, KEY).seal(b"old", PLACE)
    assert shredded.open(envelope, PLACE) == b"old"
    shredded.use_keys({NEXT_KEY.id: NEXT_KEY}, NEXT_KEY.id)
    with pytest.raises(DecryptionFailed, match="does not have"):
        shredded.open(envelope, PLACE)


def test_an_unknown_format_says_so() -> None:
    with pytest.raises(DecryptionFailed, match="format 2"):
        read_header(b"\x02" + GOLDEN[1:])


def test_the_same_text_never_looks_the_same_twice() -> None:
    sealed = {cipher().seal(b"payload", PLACE) for _ in range(100)}
    assert len(sealed) == 100


def test_the_overhead_is_what_the_document_says() -> None:
    assert len(cipher().seal(b"", PLACE)) == ENVELOPE_OVERHEAD == 81


def test_a_data_key_does_not_show_its_material() -> None:
    assert repr(KEY) == f"DataKey(id={KEY_ID}, version=1)"
