"""The canaries' list of secret places is whole: a new setting, sealed column or digest is on it, or has its reason."""

import re

from pydantic import SecretStr

from planvault.settings import Settings
from planvault.storage.sealed import COLUMNS, NOT_SEALED
from tests.e2e.secret_places import DIGESTS, PLAIN_SETTINGS, SEALED, SETTINGS, UNPLANTED

_SOUNDS_SECRET = re.compile(r"key|token|secret|password|passphrase|credential|private_|seed|url", re.IGNORECASE)


def test_every_setting_that_may_be_a_secret_is_planted_or_says_why_it_is_none() -> None:
    fields = Settings.model_fields
    marked = {name for name, field in fields.items() if field.annotation is SecretStr}
    sounding = {name for name in fields if _SOUNDS_SECRET.search(name)}
    assert marked <= set(SETTINGS)
    assert set(SETTINGS) | set(PLAIN_SETTINGS) == marked | sounding
    assert not set(SETTINGS) & set(PLAIN_SETTINGS)


def test_every_sealed_column_is_planted_or_says_why_it_is_not() -> None:
    assert set(SEALED) | set(UNPLANTED) == {column.name for column in COLUMNS}
    assert not set(SEALED) & set(UNPLANTED)


def test_every_credential_that_is_kept_as_a_digest_is_planted() -> None:
    assert {name for name, reason in NOT_SEALED.items() if reason == "digest of 256 random bits"} == set(DIGESTS)
