from datetime import UTC, datetime
from uuid import UUID

import pytest

from models.access import Role, User
from models.ids import OrgId, UserId
from planvault.auth.principals import admin_token, person, service

ORG, SOME = OrgId(UUID(int=1)), UUID(int=9)


def user(email: str, *, verified: bool) -> User:
    return User(id=UserId(SOME), issuer="https://id", subject="42", email=email, email_verified=verified, name="Ada")


def test_a_person_acts_under_a_verified_address() -> None:
    ada = person(user("ada@example.com", verified=True))
    assert (ada.actor, ada.email, ada.proven_operator) == ("ada@example.com",) * 3


def test_an_address_that_nobody_has_verified_is_no_name() -> None:
    anybody = person(user("ada@example.com", verified=False))
    assert "ada" not in anybody.actor
    assert anybody.email == ""
    assert anybody.proven_operator == "42 (https://id)"


def test_only_a_person_is_proven_to_be_one() -> None:
    assert admin_token().proven_operator == ""
    assert service(SOME, ORG, "ci", Role.ADMIN).proven_operator == ""


def test_a_machine_owns_no_organisation() -> None:
    with pytest.raises(ValueError, match="ADMIN at most"):
        service(SOME, ORG, "ci", Role.OWNER, datetime.now(UTC))
