"""An address is a mailbox, byte for byte: only ASCII letters are compared without case."""

from datetime import UTC, datetime

import pytest

from models.access import plain_address
from planvault.auth.oidc_claims import Identity

LOOK_ALIKES = [
    ("mi\N{KELVIN SIGN}e@example.com", "mike@example.com"),  # lower() makes k of it
    ("stra\N{LATIN SMALL LETTER SHARP S}e@example.com", "strasse@example.com"),  # casefold() makes ss of it
    ("\N{LATIN SMALL LIGATURE FI}n@example.com", "fin@example.com"),
    ("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}@example.com", "i@example.com"),
    ("\N{FULLWIDTH LATIN CAPITAL LETTER A}da@example.com", "ada@example.com"),
]


@pytest.mark.parametrize(("shown", "owner"), LOOK_ALIKES)
def test_a_look_alike_is_another_mailbox(shown: str, owner: str) -> None:
    assert plain_address(shown) != owner
    identity = Identity("https://id", "1", shown, True, "", datetime.now(UTC), False)
    assert identity.verified_email != owner


def test_case_and_blanks_around_make_no_other_mailbox() -> None:
    assert plain_address(" Ada@Example.COM ") == "ada@example.com"
