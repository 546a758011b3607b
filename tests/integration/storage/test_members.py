"""Who belongs to an organisation: the rules that hold whoever asks at the same time."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from models.access import Asker, Invitation, Member, Role, User, plain_address
from models.ids import InvitationId, UserId
from models.tenants import OrgScope
from planvault.auth.keys import NewKey, digest
from planvault.clock import TimeOrderedIds
from planvault.errors import Conflict, InvalidInput, InvitationGone, LastOwner, NotAllowed, NotFound
from planvault.storage.invitations import Invitations
from planvault.storage.members import Members
from planvault.storage.pool import Connection, Pool
from planvault.storage.service_tokens import ServiceTokens
from planvault.storage.tenancy import within
from planvault.storage.tenants import Tenants

pytestmark = pytest.mark.postgres
IDS = TimeOrderedIds()
PLATFORM = Asker(role=Role.OWNER)
ISSUER = "https://id.example.com"


async def nothing(_: Connection, __: Member | Invitation) -> None: ...


class Org:
    def __init__(self, pool: Pool, scope: OrgScope) -> None:
        self.pool, self.scope = pool, scope
        self.members = Members(pool, IDS)
        self.invitations = Invitations(pool, IDS, self.members)

    async def signed_in(self, name: str, *, verified: bool = True) -> User:
        email = f"{name}@example.com"
        return await self.members.signed_in(ISSUER, name, email=email, email_verified=verified, name=name.title())

    async def invite(
        self, email: str, role: Role, asker: Asker = PLATFORM, label: str = "t"
    ) -> tuple[Invitation, NewKey]:
        async with within(self.pool, self.scope) as connection:
            return await self.invitations.invite(self.scope, email, role, asker, label, nothing, connection)

    async def join(self, name: str, role: Role) -> Asker:
        """A person who was invited and has accepted, as an asker."""
        user = await self.signed_in(name)
        _, token = await self.invite(user.email, role)
        await self.invitations.accept(token.text, user.id, user.email, nothing)
        return Asker(role=role, user_id=user.id)

    async def role_of(self, who: Asker) -> Role | None:
        assert who.user_id is not None
        return await self.members.role_of(self.scope.org_id, who.user_id)

    async def change(self, who: Asker, role: Role, asker: Asker) -> Member:
        assert who.user_id is not None
        return await self.members.change(self.scope, who.user_id, role, asker, nothing)

    async def remove(self, who: Asker, asker: Asker) -> None:
        assert who.user_id is not None
        await self.members.remove(self.scope, who.user_id, asker, nothing)


@pytest.fixture
async def org(pool: Pool) -> Org:
    return await new_org(pool)


async def new_org(pool: Pool) -> Org:
    made = await Tenants(pool, IDS).create_organization("Acme")
    return Org(pool, OrgScope(org_id=made.id))


async def test_the_last_owner_can_neither_be_removed_nor_demoted_nor_leave(org: Org) -> None:
    owner = await org.join("ada", Role.OWNER)
    for asker in (PLATFORM, owner):
        with pytest.raises(LastOwner):
            await org.remove(owner, asker)
        with pytest.raises(LastOwner):
            await org.change(owner, Role.ADMIN, asker)
    await org.change(owner, Role.OWNER, owner)  # no change is none
    assert await org.role_of(owner) is Role.OWNER


async def test_of_two_owners_who_remove_each_other_at_once_one_stays(pool: Pool) -> None:
    for _ in range(2):
        org = await new_org(pool)
        first, second = await org.join("one", Role.OWNER), await org.join("two", Role.OWNER)
        answers = await asyncio.gather(org.remove(first, second), org.remove(second, first), return_exceptions=True)
        assert sorted(type(answer).__name__ for answer in answers) == ["NoneType", "NotAllowed"]
        left = await org.members.page(org.scope, None, 10)
        assert [member.role for member in left] == [Role.OWNER]


async def test_of_two_owners_who_leave_at_once_one_stays(org: Org) -> None:
    first, second = await org.join("one", Role.OWNER), await org.join("two", Role.OWNER)
    answers = await asyncio.gather(org.remove(first, first), org.remove(second, second), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["LastOwner", "NoneType"]


@pytest.mark.parametrize("mine", list(Role))
@pytest.mark.parametrize("given", list(Role))
async def test_nobody_gives_a_role_above_their_own(org: Org, mine: Role, given: Role) -> None:
    await org.join("owner", Role.OWNER)
    asker, other = await org.join("asker", mine), await org.join("other", Role.MEMBER)
    if mine in (Role.OWNER, Role.ADMIN) and mine.covers(given):
        assert (await org.change(other, given, asker)).role is given
        await org.invite("new@example.com", given, asker)
        return
    with pytest.raises(NotAllowed):
        await org.change(other, given, asker)
    with pytest.raises(NotAllowed):
        await org.invite("new@example.com", given, asker)
    assert await org.role_of(other) is Role.MEMBER


@pytest.mark.parametrize("theirs", list(Role))
async def test_nobody_changes_or_removes_a_member_above_themselves(org: Org, theirs: Role) -> None:
    await org.join("owner", Role.OWNER)
    admin, other = await org.join("admin", Role.ADMIN), await org.join("other", theirs)
    if theirs is Role.OWNER:
        with pytest.raises(NotAllowed):
            await org.change(other, Role.MEMBER, admin)
        with pytest.raises(NotAllowed):
            await org.remove(other, admin)
        return
    await org.change(other, Role.ADMIN, admin)
    await org.remove(other, admin)
    assert await org.role_of(other) is None


async def test_a_role_that_was_lost_a_moment_ago_counts_no_more(org: Org) -> None:
    """The gate's memory may still hold it: a demoted admin must not use the seconds to come back."""
    await org.join("owner", Role.OWNER)
    admin, friend = await org.join("admin", Role.ADMIN), await org.join("friend", Role.MEMBER)
    await org.change(admin, Role.MEMBER, PLATFORM)
    for attempt in (org.change(admin, Role.ADMIN, admin), org.change(friend, Role.ADMIN, admin)):
        with pytest.raises(NotAllowed):
            await attempt
    with pytest.raises(NotAllowed):
        await org.invite("new@example.com", Role.ADMIN, admin)


async def test_anybody_but_the_last_owner_may_leave(org: Org) -> None:
    await org.join("owner", Role.OWNER)
    member = await org.join("member", Role.MEMBER)
    await org.remove(member, member)
    assert await org.role_of(member) is None


async def test_a_member_of_another_organisation_is_none_of_this_one(org: Org, pool: Pool) -> None:
    other = await new_org(pool)
    stranger = await other.join("stranger", Role.MEMBER)
    assert stranger.user_id is not None
    with pytest.raises(NotFound):
        await org.remove(stranger, PLATFORM)
    with pytest.raises(NotFound):
        await org.members.get(org.scope, stranger.user_id)
    assert await org.role_of(stranger) is None


# ── invitations ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_invitation_is_kept_as_a_digest_and_accepted_once(org: Org, pool: Pool) -> None:
    user = await org.signed_in("new")
    made, token = await org.invite(" NEW@Example.com ", Role.DEVELOPER)
    row = await pool.fetchrow("SELECT invitations::text AS text, token_sha256 FROM invitations WHERE id = $1", made.id)
    assert row is not None
    assert row["token_sha256"] == digest(token.text)
    assert token.text not in row["text"]
    await org.invitations.accept(token.text, user.id, user.email, nothing)
    assert await org.members.role_of(org.scope.org_id, user.id) is Role.DEVELOPER
    with pytest.raises(InvitationGone):
        await org.invitations.accept(token.text, user.id, user.email, nothing)


@pytest.mark.parametrize("email", ["", "else@example.com", "new@example.com.evil.com", "new@example.co"])
async def test_only_the_invited_address_accepts(org: Org, email: str) -> None:
    _, token = await org.invite("new@example.com", Role.OWNER)
    user = await org.signed_in("mallory")
    with pytest.raises(NotAllowed):
        await org.invitations.accept(token.text, user.id, email, nothing)
    assert await org.members.role_of(org.scope.org_id, user.id) is None


async def test_a_look_alike_address_is_another_one(org: Org) -> None:
    """Unicode lower-cases the Kelvin sign to k: GitHub's password resets once went to such a mailbox."""
    kelvin = "mi\N{KELVIN SIGN}e@example.com"
    assert kelvin.lower() == "mike@example.com"
    assert plain_address(kelvin) != "mike@example.com"
    with pytest.raises(InvalidInput):
        await org.invite(kelvin, Role.MEMBER)
    _, token = await org.invite("mike@example.com", Role.OWNER)
    user = await org.members.signed_in(ISSUER, "m", email=kelvin, email_verified=True, name="")
    with pytest.raises(NotAllowed):
        await org.invitations.accept(token.text, user.id, user.email, nothing)


@pytest.mark.parametrize("email", ["", "ada", "@example.com", "a@", "a b@example.com", "a@b@c", "a@-b.com", "a" * 400])
async def test_what_is_no_address_is_not_invited(org: Org, email: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await org.invite(email, Role.MEMBER)
    assert refused.value.errors[0].pointer == "/email"


async def test_revoked_replaced_and_expired_invitations_open_nothing(org: Org, pool: Pool) -> None:
    user = await org.signed_in("new")
    revoked, first = await org.invite(user.email, Role.MEMBER)
    await org.invitations.revoke(org.scope, revoked.id, nothing)
    _, replaced = await org.invite(user.email, Role.MEMBER)
    expiring, expired = await org.invite(user.email, Role.MEMBER)
    await pool.execute("UPDATE invitations SET expires_at = now() WHERE id = $1", expiring.id)
    for token in (first, replaced, expired):
        with pytest.raises(InvitationGone):
            await org.invitations.accept(token.text, user.id, user.email, nothing)
    with pytest.raises(NotFound):
        await org.invitations.accept("pv_invite_never", user.id, user.email, nothing)
    assert await org.invitations.open(org.scope) == []
    with pytest.raises(InvitationGone):
        await org.invitations.revoke(org.scope, revoked.id, nothing)


@pytest.mark.parametrize("ends", ["removed", "leaves", "demoted", "is erased"])
async def test_who_loses_the_right_to_invite_has_invited_nobody(org: Org, ends: str) -> None:
    """Else a person who is about to be removed would come back as somebody else."""
    owner, admin = await org.join("owner", Role.OWNER), await org.join("admin", Role.ADMIN)
    theirs, text = await org.invite("second-self@example.com", Role.ADMIN, admin)
    others, _ = await org.invite("colleague@example.com", Role.MEMBER, owner)
    if ends == "demoted":
        await org.change(admin, Role.DEVELOPER, owner)
    elif ends == "is erased":
        assert admin.user_id is not None
        async with within(org.pool, org.scope) as connection:
            await org.members.withdraw(connection, org.scope, admin.user_id, owner)
    else:
        await org.remove(admin, admin if ends == "leaves" else owner)
    assert [one.id for one in await org.invitations.open(org.scope)] == [others.id]
    second = await org.signed_in("second-self")
    assert second.email == theirs.email
    with pytest.raises(InvitationGone):
        await org.invitations.accept(text.text, second.id, second.email, nothing)


@pytest.mark.parametrize("ends", ["is revoked", "expires"])
async def test_what_a_service_token_has_offered_ends_with_it(org: Org, ends: str) -> None:
    """Also where another token takes its name, and where a replica that still believed in it let it invite."""
    tokens, life = ServiceTokens(org.pool, IDS), timedelta(days=1)
    async with within(org.pool, org.scope) as connection:
        token, _ = await tokens.create(
            connection, org.scope, "ci", Role.ADMIN, life, by=Role.OWNER, created_by="ada@example.com"
        )
    _, text = await org.invite("second-self@example.com", Role.ADMIN, Asker(role=Role.ADMIN), "service:ci")
    assert len(await org.invitations.open(org.scope)) == 1
    async with within(org.pool, org.scope) as connection:
        if ends == "is revoked":
            await tokens.revoke(connection, org.scope, token.id)
        else:
            await connection.execute("UPDATE service_tokens SET expires_at = now() WHERE id = $1", token.id)
    async with within(org.pool, org.scope) as connection:
        await tokens.create(connection, org.scope, "ci", Role.ADMIN, life, by=Role.OWNER, created_by="ada@example.com")
    assert await org.invitations.open(org.scope) == []
    second = await org.signed_in("second-self")
    with pytest.raises(InvitationGone):
        await org.invitations.accept(text.text, second.id, second.email, nothing)


async def test_a_demoted_owner_s_invitations_end_where_they_gave_more_than_they_may_now(org: Org) -> None:
    owner, other = await org.join("owner", Role.OWNER), await org.join("other", Role.OWNER)
    await org.invite("a-third@example.com", Role.OWNER, other)
    kept, _ = await org.invite("colleague@example.com", Role.ADMIN, other)
    await org.change(other, Role.ADMIN, owner)
    assert [one.id for one in await org.invitations.open(org.scope)] == [kept.id]


async def test_one_invitation_accepted_twice_at_once_makes_one_member(org: Org) -> None:
    user = await org.signed_in("new")
    _, token = await org.invite(user.email, Role.MEMBER)
    answers = await asyncio.gather(
        *(org.invitations.accept(token.text, user.id, user.email, nothing) for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(answer, Invitation) for answer in answers) == 1
    assert sum(isinstance(answer, InvitationGone) for answer in answers) == 3


async def test_a_member_is_not_invited_again_and_keeps_the_role(org: Org) -> None:
    await org.join("ada", Role.OWNER)
    with pytest.raises(Conflict, match="is a member"):
        await org.invite("ADA@example.com", Role.MEMBER)


async def test_another_organisation_cannot_revoke_an_invitation(org: Org, pool: Pool) -> None:
    made, _ = await org.invite("new@example.com", Role.MEMBER)
    other = await new_org(pool)
    for unknown in (made.id, InvitationId(UUID(int=1))):
        with pytest.raises(NotFound):
            await other.invitations.revoke(other.scope, unknown, nothing)
    assert [one.id for one in await org.invitations.open(org.scope)] == [made.id]
    assert made.expires_at - made.created_at == timedelta(days=7)


# ── people ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_person_is_their_issuer_and_subject_whatever_address_they_show(org: Org) -> None:
    first = await org.members.signed_in(ISSUER, "1", email="a@example.com", email_verified=True, name="A")
    again = await org.members.signed_in(ISSUER, "1", email="B@Example.com", email_verified=False, name="B")
    assert again.id == first.id
    assert (again.email, again.email_verified, again.name) == ("b@example.com", False, "B")
    elsewhere = await org.members.signed_in("https://other", "1", email="a@example.com", email_verified=True, name="A")
    assert elsewhere.id != first.id


async def test_many_first_sign_ins_at_once_are_one_person(org: Org) -> None:
    found = await asyncio.gather(
        *(org.members.signed_in(ISSUER, "first", email="", email_verified=True, name="") for _ in range(8))
    )
    assert len({user.id for user in found}) == 1
    assert not found[0].email_verified  # there is no address to be verified


async def test_a_person_sees_the_organisations_that_they_belong_to(org: Org, pool: Pool) -> None:
    other = await new_org(pool)
    mine = await org.join("two-places", Role.OWNER)
    await other.join("two-places", Role.MEMBER)
    assert mine.user_id is not None
    found = await org.members.organizations_of(mine.user_id)
    assert [(one.id, one.role) for one in found] == [
        (org.scope.org_id, Role.OWNER),
        (other.scope.org_id, Role.MEMBER),
    ]
    assert await org.members.organizations_of(UserId(UUID(int=5))) == []
