"""Integrations, per-project decisions and imports in a real database."""

import asyncio
from dataclasses import dataclass

import pytest

from models.ids import ImportId, IntegrationId, ProjectId
from models.policies import EgressPolicy, OrgSettings
from models.tenants import OrgScope, ProjectScope
from models.tools import ApprovalPolicy, ImportOutcome, ImportStatus, IntegrationState, OperationReport
from planvault.clock import TimeOrderedIds
from planvault.crypto.kek import LocalKeyWrapper
from planvault.crypto.keyset import Keyset
from planvault.errors import Conflict, DecryptionFailed, NotFound, OwnershipLost
from planvault.ingestion.native import install_native_tools
from planvault.ports import OrgCipher
from planvault.storage import catalog, catalog_imports, catalog_tools, tool_index
from planvault.storage.catalog_reader import CatalogReader
from planvault.storage.keys import PostgresKeyring
from planvault.storage.pool import Pool, transaction
from planvault.storage.tenants import Tenants
from planvault.tools.native import NATIVE_TOOLS

pytestmark = pytest.mark.postgres
IDS = TimeOrderedIds()
WRAPPER = LocalKeyWrapper(Keyset("kek-1", {"kek-1": bytes(range(32))}))


@dataclass
class Tenant:
    scope: ProjectScope
    other_project: ProjectScope
    cipher: OrgCipher
    keyring: PostgresKeyring

    @property
    def org(self) -> OrgScope:
        return OrgScope(org_id=self.scope.org_id)


async def tenant(pool: Pool) -> Tenant:
    tenants = Tenants(pool, IDS)
    org = await tenants.create_organization("Acme", OrgSettings(egress=EgressPolicy(allow_loopback=True)))
    scopes = []
    for name in ("one", "two"):
        project = await tenants.create_project(OrgScope(org_id=org.id), name)
        scopes.append(ProjectScope(org_id=org.id, project_id=ProjectId(project.id)))
    keyring = PostgresKeyring(pool, WRAPPER, IDS)
    return Tenant(scopes[0], scopes[1], await keyring.cipher(org.id), keyring)


@pytest.fixture
async def acme(pool: Pool) -> Tenant:
    return await tenant(pool)


async def shop(pool: Pool, scope: OrgScope, alias: str = "shop") -> IntegrationId:
    integration_id = IntegrationId(IDS.new())
    await catalog.create_integration(pool, scope, integration_id, alias=alias, display_name="Shop", base_url="http://s")
    return integration_id


async def test_an_alias_is_taken_once_in_an_organisation(pool: Pool, acme: Tenant) -> None:
    await shop(pool, acme.org)
    with pytest.raises(Conflict, match="shop"):
        await shop(pool, acme.org)
    await shop(pool, (await tenant(pool)).org)


async def test_no_other_organisation_sees_or_changes_an_integration(pool: Pool, acme: Tenant) -> None:
    integration_id = await shop(pool, acme.org)
    stranger = await tenant(pool)
    for attempt in (
        catalog.get_integration(pool, stranger.org, integration_id),
        catalog.find_integration(pool, stranger.org, "shop"),
        catalog.update_integration(pool, stranger.org, integration_id, base_url="http://evil"),
        catalog.delete_integration(pool, stranger.org, integration_id),
        catalog.integration_state(pool, stranger.scope, integration_id, stranger.cipher),
        catalog.set_integration_state(pool, stranger.scope, integration_id, IntegrationState(), stranger.cipher),
        catalog_imports.create_import(pool, stranger.org, ImportId(IDS.new()), integration_id, document="{}"),
    ):
        with pytest.raises(NotFound):
            await attempt
    assert await catalog.list_integrations(pool, stranger.org) == []
    assert (await catalog.get_integration(pool, acme.org, integration_id)).base_url == "http://s"


async def test_a_project_decides_for_itself_alone(pool: Pool, acme: Tenant) -> None:
    integration_id = await shop(pool, acme.org)
    state = IntegrationState(
        enabled=False, approval_policy=ApprovalPolicy.ALWAYS, auth_headers={"Authorization": "Bearer {{secrets.T}}"}
    )
    await catalog.set_integration_state(pool, acme.scope, integration_id, state, acme.cipher)
    assert await catalog.integration_state(pool, acme.scope, integration_id, acme.cipher) == state
    assert await catalog.integration_state(pool, acme.other_project, integration_id, acme.cipher) == IntegrationState()
    [seen] = await catalog.project_integrations(pool, acme.scope, acme.cipher)
    assert (seen.integration.id, seen.state, seen.tool_count) == (integration_id, state, 0)


async def test_a_project_decides_while_the_organisations_index_is_being_written(pool: Pool, acme: Tenant) -> None:
    native = await install_native_tools(pool, acme.org, IDS, tools=NATIVE_TOOLS)
    doomed = await shop(pool, acme.org)
    async with transaction(pool) as writer, transaction(pool) as project:
        await tool_index.next_revision(writer, acme.org, {native.id})
        await asyncio.wait_for(
            catalog.set_integration_state(project, acme.scope, native.id, IntegrationState(enabled=False), acme.cipher),
            timeout=2.0,
        )
    async with transaction(pool) as project:
        await catalog.set_integration_state(project, acme.scope, doomed, IntegrationState(enabled=False), acme.cipher)
        # Who deletes an integration locks the index after it: a decision that held the index would wait for them, and
        # they for it.
        await asyncio.wait_for(catalog.delete_integration(pool, acme.org, native.id), timeout=2.0)


async def test_auth_headers_are_sealed_to_their_row(pool: Pool, acme: Tenant) -> None:
    first, second = await shop(pool, acme.org), await shop(pool, acme.org, "other")
    state = IntegrationState(auth_headers={"X-Key": "literal-credential"})
    for integration_id in (first, second):
        await catalog.set_integration_state(pool, acme.scope, integration_id, state, acme.cipher)
    stored = await pool.fetchval("SELECT auth_headers FROM project_integrations WHERE integration_id = $1", first)
    assert b"literal-credential" not in stored
    await pool.execute("UPDATE project_integrations SET auth_headers = $1 WHERE integration_id = $2", stored, second)
    with pytest.raises(DecryptionFailed):
        await catalog.integration_state(pool, acme.scope, second, acme.cipher)


async def test_a_call_target_joins_base_url_decisions_and_egress(pool: Pool, acme: Tenant) -> None:
    native = await install_native_tools(pool, acme.org, IDS, tools=NATIVE_TOOLS)
    reader = CatalogReader(pool, acme.keyring)
    noop, *_ = await catalog_tools.list_tools(pool, acme.scope)
    state = IntegrationState(auth_headers={"X": "y"})
    await catalog.set_integration_state(pool, acme.scope, native.id, state, acme.cipher)
    target = await reader.binding(acme.scope, noop)
    assert (target.state, target.egress.allow_loopback) == (state, True)
    assert await reader.tools(acme.scope, [(noop.id, 1), (noop.id, 1)]) == [noop, noop]
    with pytest.raises(NotFound):
        await reader.tools(acme.scope, [(noop.id, 2)])
    await catalog.delete_integration(pool, acme.org, native.id)
    with pytest.raises(NotFound):
        await reader.binding(acme.scope, noop)


async def test_native_tools_are_installed_once(pool: Pool, acme: Tenant) -> None:
    first = await install_native_tools(pool, acme.org, IDS)
    again = await install_native_tools(pool, acme.org, IDS)
    assert first.id == again.id
    tools = await catalog_tools.list_tools(pool, acme.scope)
    assert [(tool.name, tool.version) for tool in tools] == [
        ("schedule_execution", 1),
        ("sleep", 1),
        ("wait_for_signal", 1),
    ]


async def test_a_native_tool_leaves_its_name_to_whoever_has_it(pool: Pool, acme: Tenant) -> None:
    other = await install_native_tools(pool, acme.org, IDS)
    await pool.execute("UPDATE integrations SET alias = 'other' WHERE id = $1", other.id)
    await install_native_tools(pool, acme.org, IDS, tools=NATIVE_TOOLS)
    mine = await catalog_tools.list_tools(pool, acme.scope)
    assert [tool.name for tool in mine if tool.integration_id != other.id] == ["noop"]


async def test_tools_of_a_switched_off_integration_are_not_listed(pool: Pool, acme: Tenant) -> None:
    native = await install_native_tools(pool, acme.org, IDS)
    await catalog.set_integration_state(pool, acme.scope, native.id, IntegrationState(enabled=False), acme.cipher)
    assert await catalog_tools.list_tools(pool, acme.scope) == []
    assert [tool.name for tool in await catalog_tools.list_tools(pool, acme.other_project, limit=1)] == [
        "schedule_execution"
    ]
    assert [tool.name for tool in await catalog_tools.list_tools(pool, acme.other_project, after="sleep")] == [
        "wait_for_signal"
    ]


async def drained(pool: Pool) -> None:
    """Close what earlier tests left open: a claim takes imports of any organisation."""
    await pool.execute("UPDATE imports SET status = 'failed' WHERE status NOT IN ('completed', 'failed')")


async def queued(pool: Pool, scope: OrgScope, integration_id: IntegrationId) -> ImportId:
    import_id = ImportId(IDS.new())
    await catalog_imports.create_import(pool, scope, import_id, integration_id, document="{}")
    return import_id


async def test_concurrent_workers_claim_different_imports(pool: Pool, acme: Tenant) -> None:
    await drained(pool)
    wanted = {await queued(pool, acme.org, await shop(pool, acme.org, f"s{n}")) for n in range(4)}
    claims = await asyncio.gather(*(catalog_imports.claim_import(pool, 30) for _ in range(6)))
    taken = [claim.id for claim in claims if claim is not None]
    assert len(taken) == len(set(taken))
    rest = [claim.id for _ in range(4) if (claim := await catalog_imports.claim_import(pool, 30)) is not None]
    assert {*taken, *rest} == wanted


async def test_imports_of_one_integration_run_in_order(pool: Pool, acme: Tenant) -> None:
    await drained(pool)
    integration_id = await shop(pool, acme.org)
    first, second = [await queued(pool, acme.org, integration_id) for _ in range(2)]
    claim = await catalog_imports.claim_import(pool, 30)
    assert claim is not None
    assert claim.id == first
    assert await catalog_imports.claim_import(pool, 30) is None
    await catalog_imports.fail_import(pool, claim, "no")
    following = await catalog_imports.claim_import(pool, 30)
    assert following is not None
    assert following.id == second


async def test_a_worker_whose_lease_ran_out_writes_nothing(pool: Pool, acme: Tenant) -> None:
    await drained(pool)
    import_id = await queued(pool, acme.org, await shop(pool, acme.org))
    slow = await catalog_imports.claim_import(pool, -1)  # its lease is over at once
    quick = await catalog_imports.claim_import(pool, 30)
    assert slow is not None
    assert quick is not None
    assert (slow.id, quick.id, quick.attempt) == (import_id, import_id, slow.attempt + 1)
    report = [OperationReport(operation="GET /x", outcome=ImportOutcome.CREATED)]
    for attempt in (
        catalog_imports.renew_import(pool, slow, 30),
        catalog_imports.import_parsed(pool, slow, report, [], total=1, done=0),
        catalog_imports.complete_import(pool, slow),
        catalog_imports.fail_import(pool, slow, "late"),
    ):
        with pytest.raises(OwnershipLost):
            await attempt
    await catalog_imports.import_parsed(pool, quick, report, ["note"], total=2, done=1)
    await catalog_imports.import_progress(pool, quick, 1, 30)
    job = await catalog_imports.get_import(pool, acme.org, import_id)
    assert (job.status, job.total, job.done, job.report, job.notes) == (
        ImportStatus.EMBEDDING,
        2,
        2,
        tuple(report),
        ("note",),
    )
    await catalog_imports.complete_import(pool, quick)
    [listed] = await catalog_imports.list_imports(pool, acme.org, job.integration_id)
    assert listed.status is ImportStatus.COMPLETED
    assert listed.finished_at is not None
