import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from models.ids import KeyId
from models.tenants import OrgScope, ProjectScope
from planvault.auth.authenticator import Authenticator
from planvault.auth.keys import digest
from planvault.clock import TimeOrderedIds
from planvault.errors import Conflict, InvalidInput, NotAuthenticated, NotFound
from planvault.storage.api_keys import ApiKeys
from planvault.storage.pool import Pool
from planvault.storage.tenants import Tenants

pytestmark = pytest.mark.postgres
IDS = TimeOrderedIds()
SCOPES = ["hrn:project:session:create"]


@pytest.fixture
def keys(pool: Pool) -> ApiKeys:
    return ApiKeys(pool, IDS)


@pytest.fixture
async def scope(pool: Pool) -> ProjectScope:
    return await new_scope(pool)


async def new_scope(pool: Pool) -> ProjectScope:
    tenants = Tenants(pool, IDS)
    org = await tenants.create_organization("Acme")
    project = await tenants.create_project(OrgScope(org_id=org.id), "p")
    return ProjectScope(org_id=org.id, project_id=project.id)


async def test_a_new_key_authenticates_as_its_project_with_its_scopes(keys: ApiKeys, scope: ProjectScope) -> None:
    shown, key = await keys.create(scope, "ci", SCOPES)
    principal = await Authenticator(keys, "").authenticate(f"Bearer {key.text}")
    assert (principal.org_id, principal.project_id) == (scope.org_id, scope.project_id)
    assert principal.scopes == tuple(SCOPES) == shown.scopes
    assert principal.key_id == shown.id


async def test_only_the_digest_and_the_last_four_characters_are_stored(
    pool: Pool, keys: ApiKeys, scope: ProjectScope
) -> None:
    shown, key = await keys.create(scope, "ci", SCOPES)
    row = await pool.fetchrow("SELECT api_keys::text AS text, key_sha256 FROM api_keys WHERE id = $1", shown.id)
    assert row is not None
    assert row["key_sha256"] == digest(key.text)
    assert shown.preview == key.text[-4:]
    assert key.text not in row["text"]
    assert key.text not in shown.model_dump_json()


async def test_rotation_ends_the_old_text_and_keeps_id_name_and_scopes(keys: ApiKeys, scope: ProjectScope) -> None:
    before, old = await keys.create(scope, "ci", SCOPES)
    after, new = await keys.rotate(scope, before.id)
    assert (after.id, after.name, after.scopes) == (before.id, before.name, before.scopes)
    assert await keys.find(old.sha256) is None
    found = await keys.find(new.sha256)
    assert found is not None
    assert found.id == before.id


async def test_the_text_before_a_rotation_ends_with_its_grace_and_the_key_with_both(
    pool: Pool, keys: ApiKeys, scope: ProjectScope
) -> None:
    made, old = await keys.create(scope, "ci", SCOPES)
    _, new = await keys.rotate(scope, made.id, grace=timedelta(hours=1))
    retiring, lasting = await keys.find(old.sha256), await keys.find(new.sha256)
    assert retiring is not None
    assert lasting is not None
    assert (retiring.id, lasting.id) == (made.id, made.id)
    assert retiring.ends_in_s is not None
    assert 3_500 < retiring.ends_in_s <= 3_600
    assert lasting.ends_in_s is None
    # What an hour does.
    await pool.execute("UPDATE api_keys SET retiring_until = now() - interval '1 second' WHERE id = $1", made.id)
    assert await keys.find(old.sha256) is None
    assert await keys.find(new.sha256) is not None
    await pool.execute(
        "UPDATE api_keys SET retiring_until = now() + interval '1 hour', expires_at = now() WHERE id = $1", made.id
    )
    assert [await keys.find(text.sha256) for text in (old, new)] == [None, None]


async def test_a_revoked_key_is_gone_for_good(keys: ApiKeys, scope: ProjectScope) -> None:
    shown, key = await keys.create(scope, "ci", SCOPES)
    await keys.revoke(scope, shown.id)
    await keys.revoke(scope, shown.id)
    with pytest.raises(NotAuthenticated):
        await Authenticator(keys, "").authenticate(f"Bearer {key.text}")
    with pytest.raises(NotFound):
        await keys.rotate(scope, shown.id)
    assert [found.revoked_at is not None for found in await keys.all(scope)] == [True]


async def test_a_project_has_one_primary_key_at_a_time(keys: ApiKeys, scope: ProjectScope) -> None:
    primary, _ = await keys.create_primary(scope)
    with pytest.raises(Conflict):
        await keys.create_primary(scope)
    await keys.revoke(scope, primary.id)
    again, _ = await keys.create_primary(scope)
    assert again.is_primary
    assert again.scopes == ("hrn:project:*",)


async def test_use_is_noted_at_most_once_a_minute(pool: Pool, keys: ApiKeys, scope: ProjectScope) -> None:
    shown, key = await keys.create(scope, "ci", SCOPES)
    assert shown.last_used_at is None
    await keys.find(key.sha256)
    (first,) = await keys.all(scope)
    assert first.last_used_at is not None
    await keys.find(key.sha256)
    assert (await keys.all(scope))[0].last_used_at == first.last_used_at

    await pool.execute("UPDATE api_keys SET last_used_at = now() - interval '2 minutes' WHERE id = $1", shown.id)
    await keys.find(key.sha256)
    (later,) = await keys.all(scope)
    assert later.last_used_at is not None
    assert later.last_used_at > first.last_used_at


async def test_keys_of_another_project_cannot_be_seen_rotated_or_revoked(
    pool: Pool, keys: ApiKeys, scope: ProjectScope
) -> None:
    theirs, key = await keys.create(await new_scope(pool), "theirs", SCOPES)
    assert await keys.all(scope) == []
    with pytest.raises(NotFound):
        await keys.rotate(scope, theirs.id)
    with pytest.raises(NotFound):
        await keys.revoke(scope, theirs.id)
    assert await keys.find(key.sha256) is not None


async def test_a_key_needs_a_project_of_its_organisation_and_scopes_that_exist(
    pool: Pool, keys: ApiKeys, scope: ProjectScope
) -> None:
    other = await new_scope(pool)
    with pytest.raises(NotFound):
        await keys.create(ProjectScope(org_id=scope.org_id, project_id=other.project_id), "x", SCOPES)
    with pytest.raises(InvalidInput):
        await keys.create(scope, "x", ["hrn:project:everything"])
    with pytest.raises(NotFound):
        await keys.revoke(scope, KeyId(UUID(int=3)))


async def test_a_key_whose_row_is_held_authenticates_without_waiting(
    pool: Pool, keys: ApiKeys, scope: ProjectScope
) -> None:
    shown, key = await keys.create(scope, "ci", SCOPES)
    async with pool.acquire() as holder, holder.transaction():
        await holder.execute("SELECT FROM api_keys WHERE id = $1 FOR UPDATE", shown.id)
        async with asyncio.timeout(2):
            assert (await Authenticator(keys, "").authenticate(f"Bearer {key.text}")).key_id == shown.id
