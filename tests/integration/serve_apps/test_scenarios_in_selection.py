"""What runs, votes and people teach, seen in the selections that the API answers with."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from models.runs import RunStatus
from models.tenants import ProjectScope
from planvault.ingestion.worker import CatalogImporter, ImporterOptions
from planvault.net.client import GuardedHttp
from planvault.settings import Settings
from retrieval.embedding import EMBEDDING_MODEL
from tests.integration.retrieval.scenarios.conftest import BagOfWords
from tests.integration.serve_apps.conftest import (
    ADMIN,
    ObservedDeps,
    Tenant,
    client_for,
    make_tenant,
    observed,
    open_session,
)
from tests.integration.serve_apps.test_scenarios import ended_run, learn

pytestmark = pytest.mark.postgres
PROMPT = "weekly overview of late parcels"
# What no word of the prompt leads to.
DISTANT = "archive_vault"


def document() -> dict[str, Any]:
    """260 operations, so that candidates come from the index; thirty of them share words with the prompt."""
    names = {f"list_parcels_{n}": f"weekly overview of parcels number{n}" for n in range(30)}
    names |= {f"other_{n}": f"thing{n} stuff{n} matter{n}" for n in range(229)}
    names[DISTANT] = "archive vault"
    return {
        "openapi": "3.1.0",
        "info": {"title": "Shop", "version": "1"},
        "servers": [{"url": "https://shop.example"}],
        "paths": {
            f"/{name}": {"get": {"operationId": name, "summary": text, "responses": {"200": {"description": "ok"}}}}
            for name, text in names.items()
        },
    }


class Shop:
    def __init__(self, deps: ObservedDeps, tenant: Tenant, client: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
        self.deps, self.tenant, self.client, self.admin = deps, tenant, client, admin

    async def select(self, prompt: str = PROMPT, **options: Any) -> dict[str, Any]:
        body = {"query": prompt, "maxTools": 5, **options}
        answer = await self.client.post(f"{self.tenant.base}/tools/test-selection", json=body)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        for candidate in found["candidates"]:
            assert sum(candidate["scores"].values()) == pytest.approx(candidate["score"], abs=1e-4)
        return found

    async def run(self, *tools: str, status: RunStatus = RunStatus.COMPLETED, rejected: bool = False) -> str:
        recorder = await open_session(self.deps, self.client, self.tenant)
        return str(await ended_run(recorder, PROMPT, *tools, status=status, rejected=rejected))


@pytest.fixture(scope="module")
def settings(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """One keyset for the module, so that its organisation, whose import takes a second, serves every test."""
    folder = tmp_path_factory.mktemp("selection")
    return Settings(database_url=database_url, data_dir=folder, admin_token_sha256=ADMIN.sha256.hex())


@pytest.fixture(scope="module")
def imported() -> list[Tenant]:
    """The organisation, once there is one."""
    return []


@pytest.fixture
async def shop(settings: Settings, imported: list[Tenant]) -> AsyncIterator[Shop]:
    """A project of its own for every test."""
    async with (
        observed(settings, BagOfWords(), {}) as deps,
        client_for(deps, {"Authorization": f"Bearer {ADMIN.text}"}) as admin,
    ):
        if not imported:
            imported.append(await make_tenant(deps))
            await _import(deps, imported[0], admin)
        project = await deps.tenants.create_project(imported[0].scope, str(deps.ids.new()))
        scope = ProjectScope(org_id=project.org_id, project_id=project.id)
        _, key = await deps.api_keys.create_primary(scope)
        tenant = Tenant(scope, key)
        async with client_for(deps, tenant.auth) as client:
            yield Shop(deps, tenant, client, admin)


async def _import(deps: ObservedDeps, tenant: Tenant, admin: httpx.AsyncClient) -> None:
    made = await admin.post(f"{tenant.admin}/tools", json={"name": "shop", "openApiSpec": document()})
    assert made.status_code == 201, made.text
    http = GuardedHttp()
    options = ImporterOptions(embedding_model=EMBEDDING_MODEL)
    importer = CatalogImporter(deps.database, http, deps.embedder, deps.ids, options)
    while await importer.run_one():
        pass
    await http.aclose()


def scenario_part(selection: dict[str, Any], tool: str) -> float:
    found = [each for each in selection["candidates"] if each["name"] == tool]
    return float(found[0]["scores"].get("scenario", 0.0)) if found else 0.0


def place(selection: dict[str, Any], tool: str) -> int:
    names = [each["name"] for each in selection["candidates"]]
    return names.index(tool) if tool in names else len(names)


async def test_a_repeated_intent_rises_with_success_and_falls_with_rejection_and_dislike(shop: Shop) -> None:
    explained: dict[str, Any] = {"candidates": 1_000}
    before = await shop.select(**explained)
    wanted = before["candidates"][20]["name"]
    runs = [await shop.run(wanted) for _ in range(3)]
    await learn(shop.deps)
    liked = await shop.select(**explained)
    assert place(liked, wanted) < place(before, wanted)
    assert scenario_part(liked, wanted) > 0
    for _ in range(3):
        await shop.run(wanted, rejected=True)
    await learn(shop.deps)
    rejected = await shop.select(**explained)
    assert scenario_part(rejected, wanted) < scenario_part(liked, wanted)
    assert place(rejected, wanted) > place(liked, wanted)
    session = await shop.deps.database.fetchval("SELECT session_id FROM runs WHERE id = $1", runs[0])
    vote = {"runId": runs[0], "value": "dislike"}
    answer = await shop.client.post(f"{shop.tenant.base}/sessions/{session}/feedback", json=vote)
    assert answer.status_code == 200, answer.text
    await learn(shop.deps)
    assert scenario_part(await shop.select(**explained), wanted) < scenario_part(rejected, wanted)


async def test_a_popular_tool_does_not_crowd_out_what_the_prompt_needs(shop: Shop) -> None:
    popular = "other_7"
    await shop.deps.database.execute(
        "INSERT INTO tool_usage (org_id, project_id, tool_id, uses, counted_at)"
        " SELECT org_id, $2, id, 1e9, now() FROM tools WHERE org_id = $1 AND name = $3",
        shop.tenant.scope.org_id,
        shop.tenant.scope.project_id,
        popular,
    )
    found = await shop.select(candidates=1_000)
    assert popular not in found["shortlist"]
    assert all(name.startswith("list_parcels_") for name in found["shortlist"])


async def test_a_manual_scenario_brings_in_what_the_index_does_not_find_and_speaks_to_the_planner(shop: Shop) -> None:
    assert DISTANT not in (await shop.select())["shortlist"]
    body = {
        "name": "Late parcels",
        "projectId": str(shop.tenant.scope.project_id),
        "sampleQueries": [PROMPT],
        "tools": [DISTANT],
        "systemInstruction": "Report to {{manager}}.",
    }
    made = await shop.admin.post(f"{shop.tenant.admin}/scenarios", json=body)
    assert made.status_code == 201, made.text
    found = await shop.select()
    assert found["shortlist"][0] == DISTANT
    assert found["instruction"] == "Report to {{manager}}."
    off = await shop.admin.put(f"{shop.tenant.admin}/scenarios/{made.json()['id']}", json={**body, "enabled": False})
    assert off.status_code == 200, off.text
    assert DISTANT not in (await shop.select())["shortlist"]


async def test_a_scenarios_tools_of_a_switched_off_integration_stay_out(shop: Shop) -> None:
    project = str(shop.tenant.scope.project_id)
    body = {"name": "Late parcels", "projectId": project, "sampleQueries": [PROMPT], "tools": [DISTANT]}
    await shop.admin.post(f"{shop.tenant.admin}/scenarios", json=body)
    await shop.client.put(f"{shop.tenant.base}/tools/integrations/shop", json={"enabled": False})
    found = await shop.select()
    assert (found["shortlist"], found["instruction"]) == ([], "")
