from uuid import UUID

import pytest

from models.ids import OrgId, ProjectId, SessionId
from models.tenants import OrgScope, ProjectScope, SessionScope
from planvault.clock import TimeOrderedIds
from planvault.crypto.kek import LocalKeyWrapper
from planvault.crypto.keyset import Keyset
from planvault.errors import DecryptionFailed, InvalidInput, NotFound
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import Pool
from planvault.storage.secrets import PostgresSecrets
from planvault.storage.tenants import Tenants

pytestmark = pytest.mark.postgres
IDS = TimeOrderedIds()
CANARY = "canary-7f3a9c51"


@pytest.fixture
def secrets(pool: Pool) -> PostgresSecrets:
    keyring = PostgresKeyring(pool, LocalKeyWrapper(Keyset("kek", {"kek": bytes(range(32))})), IDS)
    return PostgresSecrets(pool, keyring, IDS)


async def new_scope(pool: Pool, org_id: OrgId | None = None) -> SessionScope:
    tenants = Tenants(pool, IDS)
    org = OrgScope(org_id=org_id or (await tenants.create_organization("Acme")).id)
    project = await tenants.create_project(org, f"p-{IDS.new()}")
    session_id = SessionId(IDS.new())
    await pool.execute(
        "INSERT INTO sessions (id, org_id, project_id, shard, context) VALUES ($1, $2, $3, 0, '')",
        session_id,
        org.org_id,
        project.id,
    )
    return SessionScope(org_id=org.org_id, project_id=project.id, session_id=session_id)


def levels(scope: SessionScope) -> tuple[OrgScope, ProjectScope, SessionScope]:
    project = ProjectScope(org_id=scope.org_id, project_id=scope.project_id)
    return OrgScope(org_id=scope.org_id), project, scope


async def test_session_wins_over_project_wins_over_organisation(pool: Pool, secrets: PostgresSecrets) -> None:
    scope = await new_scope(pool)
    for level, value in zip(levels(scope), ("of-org", "of-project", "of-session"), strict=True):
        await secrets.put(level, {"TOKEN": value})
        assert await secrets.value(scope, "TOKEN") == value
    await secrets.delete(scope, "TOKEN")
    assert await secrets.value(scope, "TOKEN") == "of-project"


async def test_names_of_all_levels_are_visible_once_and_values_are_not(pool: Pool, secrets: PostgresSecrets) -> None:
    scope = await new_scope(pool)
    org, project, _ = levels(scope)
    await secrets.put(org, {"A": "1", "SHARED": "2"})
    await secrets.put(project, {"B": "3", "SHARED": "4"})
    await secrets.put(scope, {"C": "5"})
    assert await secrets.names(scope) == ["A", "B", "C", "SHARED"]
    assert [found.name for found in await secrets.names_at(project)] == ["B", "SHARED"]


async def test_writing_again_replaces_what_is_named_and_keeps_the_rest(pool: Pool, secrets: PostgresSecrets) -> None:
    scope = await new_scope(pool)
    await secrets.put(scope, {"A": "1", "B": "2"})
    await secrets.put(scope, {"B": "new"})
    assert await secrets.value(scope, "A") == "1"
    assert await secrets.value(scope, "B") == "new"


async def test_other_sessions_projects_and_tenants_see_nothing(pool: Pool, secrets: PostgresSecrets) -> None:
    owner = await new_scope(pool)
    await secrets.put(owner, {"SESSION": "x"})
    await secrets.put(levels(owner)[1], {"PROJECT": "x"})
    await secrets.put(levels(owner)[0], {"ORG": "x"})
    neighbour, stranger = await new_scope(pool, owner.org_id), await new_scope(pool)
    assert await secrets.names(neighbour) == ["ORG"]
    assert await secrets.names(stranger) == []
    for name in ("SESSION", "PROJECT"):
        with pytest.raises(NotFound):
            await secrets.value(neighbour, name)
    with pytest.raises(NotFound):
        await secrets.value(stranger, "ORG")


async def test_a_level_of_another_tenant_cannot_be_written(pool: Pool, secrets: PostgresSecrets) -> None:
    mine, theirs = await new_scope(pool), await new_scope(pool)
    crossed = (
        ProjectScope(org_id=mine.org_id, project_id=theirs.project_id),
        SessionScope(org_id=mine.org_id, project_id=mine.project_id, session_id=theirs.session_id),
        SessionScope(org_id=mine.org_id, project_id=mine.project_id, session_id=SessionId(UUID(int=5))),
        ProjectScope(org_id=mine.org_id, project_id=ProjectId(UUID(int=6))),
    )
    for scope in crossed:
        with pytest.raises(NotFound):
            await secrets.put(scope, {"A": "1"})
    assert await secrets.names(theirs) == []


async def test_the_table_holds_no_value_in_the_clear(pool: Pool, secrets: PostgresSecrets) -> None:
    scope = await new_scope(pool)
    await secrets.put(scope, {"A": CANARY})
    dump = await pool.fetchval("SELECT string_agg(secrets::text || encode(value, 'escape'), '') FROM secrets")
    assert CANARY not in dump


async def test_a_value_copied_over_another_does_not_open(pool: Pool, secrets: PostgresSecrets) -> None:
    scope = await new_scope(pool)
    await secrets.put(scope, {"LOW": "low", "HIGH": "high"})
    await pool.execute(
        "UPDATE secrets SET value = (SELECT value FROM secrets WHERE session_id = $1 AND name = 'HIGH')"
        " WHERE session_id = $1 AND name = 'LOW'",
        scope.session_id,
    )
    with pytest.raises(DecryptionFailed):
        await secrets.value(scope, "LOW")


@pytest.mark.parametrize(
    "values",
    [
        {"": "x"},
        {"1A": "x"},
        {"A B": "x"},
        {"A}}": "x"},
        {"A" * 129: "x"},
        {"A": ""},
        {"A": "x" * 65_537},
        {"A": "\ud800"},
    ],
)
async def test_faulty_secrets_are_refused_whole_and_by_name_only(
    pool: Pool, secrets: PostgresSecrets, values: dict[str, str]
) -> None:
    scope = await new_scope(pool)
    with pytest.raises(InvalidInput) as refused:
        await secrets.put(scope, {"FINE": CANARY} | values)
    assert CANARY not in f"{refused.value.detail}{refused.value.errors}"
    assert len(refused.value.errors) == 1
    assert await secrets.names(scope) == []


async def test_deleting_what_is_not_there_is_not_found(pool: Pool, secrets: PostgresSecrets) -> None:
    scope = await new_scope(pool)
    await secrets.put(levels(scope)[1], {"A": "1"})
    with pytest.raises(NotFound):
        await secrets.delete(scope, "A")
    assert await secrets.names(scope) == ["A"]
