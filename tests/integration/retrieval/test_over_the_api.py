"""From a document to a shortlist over the public API: imported, embedded by the real model, grouped, selected."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from models.base import JsonObject
from planvault.auth.keys import new_admin_token
from planvault.clock import TimeOrderedIds
from planvault.ingestion.worker import CatalogImporter, ImporterOptions
from planvault.net.client import GuardedHttp
from planvault.settings import Settings
from retrieval.embedding import EMBEDDING_MODEL, InProcessEmbedder
from tests.integration.serve_apps.conftest import ObservedDeps, Tenant, client_for, make_tenant, observed

ADMIN = new_admin_token()
NOUNS = {
    "order": "An order of the web shop with its lines and its total",
    "customer": "A person who buys in the shop",
    "invoice": "The bill that a customer pays for an order",
    "parcel": "A shipment on its way, with its tracking number",
    "voucher": "A gift card or discount code",
    "employee": "Somebody who works in the warehouse",
}
VERBS = {"get": "Get one", "post": "Create a new", "put": "Change an existing", "delete": "Remove one"}
PROMPT = "Find the order of Ada, and then send her the bill. Where is the shipment?"


def document() -> JsonObject:
    """Twenty-four operations; nothing that a prompt says but for what they mean."""
    paths: JsonObject = {}
    for noun, meaning in NOUNS.items():
        paths[f"/{noun}s/{{{noun}_id}}"] = {
            verb: {
                "operationId": f"{verb}_{noun}",
                "tags": [noun],
                "summary": f"{said} {noun}",
                "description": meaning,
                "parameters": [{"name": f"{noun}_id", "in": "path", "required": True, "schema": {"type": "string"}}],
                "responses": {"200": {"description": "OK"}},
            }
            for verb, said in VERBS.items()
        }
    return {"openapi": "3.0.3", "info": {"title": "Shop", "version": "1"}, "paths": paths}


@pytest.fixture
async def deps(database_url: str, tmp_path: Path, embedder: InProcessEmbedder) -> AsyncIterator[ObservedDeps]:
    settings = Settings(database_url=database_url, data_dir=tmp_path, admin_token_sha256=ADMIN.sha256.hex())
    async with observed(settings, embedder, {}) as opened:
        yield opened


async def imported(deps: ObservedDeps, tenant: Tenant, admin: httpx.AsyncClient, embedder: InProcessEmbedder) -> None:
    body = {"name": "shop", "baseUrl": "http://shop.example", "openApiSpec": document()}
    assert (await admin.post(f"{tenant.admin}/tools", json=body)).status_code == 201
    http = GuardedHttp()
    importer = CatalogImporter(deps.database, http, embedder, TimeOrderedIds(), ImporterOptions(EMBEDDING_MODEL))
    assert await importer.run_one()
    await http.aclose()


async def test_each_intent_of_a_prompt_finds_its_tool_in_every_tier_and_every_score_adds_up(
    deps: ObservedDeps, embedder: InProcessEmbedder
) -> None:
    tenant = await make_tenant(deps)
    async with (
        client_for(deps, {"Authorization": f"Bearer {ADMIN.text}"}) as admin,
        client_for(deps, tenant.auth) as client,
    ):
        await imported(deps, tenant, admin, embedder)
        url = f"{tenant.base}/tools/test-selection"
        for strategy, tier in ((None, "flat_rag"), ("full_rag", "full_rag"), ("hierarchical_rag", "hierarchical_rag")):
            body = {"query": PROMPT, "maxTools": 10, **({} if strategy is None else {"strategy": strategy})}
            found = (await client.post(url, json=body)).json()
            assert (found["tier"], found["catalogSize"], found["degraded"]) == (tier, 24, [])
            assert {"get_order", "get_invoice", "get_parcel"} <= set(found["shortlist"])
            assert found["parts"][0] == PROMPT
            assert bool(found["groups"]) == (tier == "hierarchical_rag")
            for row in found["candidates"]:
                assert sum(row["scores"].values()) == pytest.approx(row["score"], abs=1e-5)
            order = sorted(found["candidates"], key=lambda row: (-row["score"], row["name"]))
            assert [row["name"] for row in order][:10] == found["shortlist"]


async def test_a_weight_of_zero_takes_a_part_out_of_the_ranking(
    deps: ObservedDeps, embedder: InProcessEmbedder
) -> None:
    tenant = await make_tenant(deps)
    async with (
        client_for(deps, {"Authorization": f"Bearer {ADMIN.text}"}) as admin,
        client_for(deps, tenant.auth) as client,
    ):
        await imported(deps, tenant, admin, embedder)
        settings = {"retrieval": {"weights": {"dense": 0, "clauses": 0, "groups": 0}}}
        assert (await admin.put(f"{tenant.admin}/settings", json=settings)).status_code == 200
        found = (await client.post(f"{tenant.base}/tools/test-selection", json={"query": PROMPT})).json()
        counted = {name for row in found["candidates"] for name, part in row["scores"].items() if part}
        assert counted <= {"lexical", "links"}
        assert "lexical" in counted
