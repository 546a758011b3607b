"""What somebody who goes was shown, at the moment of their going."""

from __future__ import annotations

from datetime import timedelta

import pytest

from models.access import Asker, LeftBehind, Maker, MakerKind, Member, Role
from models.ids import UserId
from models.service_tokens import ServiceToken
from planvault.errors import NotAuthenticated
from planvault.storage.api_keys import ApiKeys
from planvault.storage.key_makers import left_behind
from planvault.storage.members import Members
from planvault.storage.pool import Connection, Pool
from planvault.storage.service_tokens import ServiceTokens
from planvault.storage.tenancy import within
from tests.integration.storage.key_room import IDS, KeyRoom
from tests.integration.storage.test_endings_meet_beginnings import waits

pytestmark = pytest.mark.postgres
ALL = ["hrn:project:*"]


class Leaver:
    """A room with a member, and a service token that they or nobody in particular made."""

    def __init__(self, room: KeyRoom, user: UserId, token: ServiceToken) -> None:
        self.room, self.keys, self.token = room, ApiKeys(room.pool, IDS), token
        self.person = Maker(kind=MakerKind.PERSON, user_id=user)
        self.service = Maker(kind=MakerKind.SERVICE, token_id=token.id)

    @classmethod
    async def open(cls, pool: Pool, *, made_the_token: bool = False) -> Leaver:
        room, members = await KeyRoom.open(pool), Members(pool, IDS)
        who = f"mia-{IDS.new()}"
        user = await members.signed_in("https://id.example", who, email="", email_verified=False, name="Mia")
        await pool.execute("INSERT INTO members (org_id, user_id, role) VALUES ($1, $2, 'ADMIN')", room.org, user.id)
        async with within(pool, room.scope) as connection:
            token, _ = await ServiceTokens(pool, IDS).create(
                connection,
                room.scope,
                "ci",
                Role.ADMIN,
                timedelta(1),
                by=Role.OWNER,
                created_by="t",
                shown_to=user.id if made_the_token else None,
            )
        return cls(room, user.id, token)

    async def left(self, maker: Maker) -> LeftBehind:
        async with within(self.room.pool, self.room.scope) as connection:
            return await left_behind(connection, self.room.scope, maker, end=True)

    async def goes(self) -> LeftBehind:
        found: list[LeftBehind] = []

        async def told(connection: Connection, _: Member) -> None:
            found.append(await left_behind(connection, self.room.scope, self.person, end=True))

        assert self.person.user_id is not None
        await Members(self.room.pool, IDS).remove(self.room.scope, self.person.user_id, Asker(role=Role.OWNER), told)
        return found[0]

    async def is_revoked(self) -> LeftBehind:
        async with within(self.room.pool, self.room.scope) as connection:
            await ServiceTokens(self.room.pool, IDS).revoke(connection, self.room.scope, self.token.id)
            return await left_behind(connection, self.room.scope, self.service, end=True)


@pytest.mark.parametrize("who", ["person", "service"])
async def test_who_goes_while_they_are_shown_a_key_is_waited_for_with_it(pool: Pool, who: str) -> None:
    leaver = await Leaver.open(pool)
    maker, going = (leaver.person, leaver.goes) if who == "person" else (leaver.service, leaver.is_revoked)
    async with within(pool, leaver.room.scope) as making:
        made, text = await leaver.keys.create(leaver.room.project, "last", ALL, making, maker=maker)
        gone = await waits(pool, going(), "transactionid")
    assert [key.id for key in (await gone).keys] == [made.id]
    assert await leaver.keys.find(text.sha256) is None


async def test_who_goes_while_their_token_is_shown_a_key_is_waited_for_with_it(pool: Pool) -> None:
    leaver = await Leaver.open(pool, made_the_token=True)
    async with within(pool, leaver.room.scope) as making:
        made, text = await leaver.keys.create(leaver.room.project, "last", ALL, making, maker=leaver.service)
        gone = await waits(pool, leaver.goes(), "transactionid")
    left = await gone
    assert ([key.id for key in left.keys], [token.id for token in left.tokens]) == ([made.id], [leaver.token.id])
    assert await leaver.keys.find(text.sha256) is None


async def test_a_token_that_has_expired_is_shown_no_key_and_flags_those_that_it_was(pool: Pool) -> None:
    leaver = await Leaver.open(pool)
    project = leaver.room.project
    made, _ = await leaver.keys.create(project, "before", ALL, maker=leaver.service)
    assert not made.maker_is_gone
    await pool.execute("UPDATE service_tokens SET expires_at = now() WHERE id = $1", leaver.token.id)
    with pytest.raises(NotAuthenticated):
        await leaver.keys.create(project, "after", ALL, maker=leaver.service)
    with pytest.raises(NotAuthenticated):
        await leaver.keys.rotate(project, made.id, maker=leaver.service)
    assert (await leaver.keys.get(project, made.id)).maker_is_gone


async def test_a_text_whose_grace_is_over_is_not_left_behind(pool: Pool) -> None:
    leaver = await Leaver.open(pool)
    made, _ = await leaver.keys.create(leaver.room.project, "rotated", ALL, maker=leaver.person)
    _, fresh = await leaver.keys.rotate(leaver.room.project, made.id, grace=timedelta(hours=1))
    await pool.execute("UPDATE api_keys SET retiring_until = now() WHERE id = $1", made.id)
    assert (await leaver.left(leaver.person)).keys == ()
    assert await leaver.keys.find(fresh.sha256) is not None


async def test_of_a_service_token_that_was_rotated_since_the_old_text_ends(pool: Pool) -> None:
    leaver = await Leaver.open(pool)
    tokens, scope, user = ServiceTokens(pool, IDS), leaver.room.scope, leaver.person.user_id
    async with within(pool, scope) as connection:
        made, old = await tokens.create(
            connection, scope, "hers", Role.ADMIN, timedelta(1), by=Role.OWNER, created_by="t", shown_to=user
        )
        _, fresh = await tokens.rotate(
            connection, scope, made.id, timedelta(1), by=Role.OWNER, grace=timedelta(hours=1), shown_to=None
        )
    assert await tokens.find(old.sha256) is not None
    left = await leaver.left(leaver.person)
    assert [(token.id, token.old_text_only) for token in left.tokens] == [(made.id, True)]
    assert await tokens.find(old.sha256) is None
    assert await tokens.find(fresh.sha256) is not None
