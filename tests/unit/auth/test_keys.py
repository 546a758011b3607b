import base64
import hashlib

from planvault.auth.keys import digest, new_admin_token, new_project_key


def test_a_project_key_has_256_random_bits_behind_its_prefix() -> None:
    key = new_project_key()
    assert key.text.startswith("sk_live_")
    assert len(base64.urlsafe_b64decode(key.text.removeprefix("sk_live_") + "=")) == 32
    assert key.text != new_project_key().text


def test_an_admin_token_can_be_told_from_a_project_key() -> None:
    assert new_admin_token().text.startswith("pv_admin_")


def test_what_is_kept_is_the_sha256_and_the_last_four_characters() -> None:
    key = new_project_key()
    assert key.sha256 == digest(key.text) == hashlib.sha256(key.text.encode()).digest()
    assert key.preview == key.text[-4:]


def test_a_new_key_does_not_show_itself() -> None:
    key = new_project_key()
    assert key.text not in f"{key} {key!r}"
