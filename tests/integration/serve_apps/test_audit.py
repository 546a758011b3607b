"""The audit log over the public API: its verification, its signed head, its keys and its export."""

import httpx
import orjson

from planvault.audit.export import read_head
from planvault.audit.reading import verify_export
from tests.integration.serve_apps.conftest import ObservedDeps, Tenant


async def _change(admin: httpx.AsyncClient, tenant: Tenant, name: str = "api_token") -> None:
    answer = await admin.put(f"{tenant.admin}/secrets", json={"secrets": {name: "canary-of-a-value"}})
    assert answer.status_code == 204, answer.text


async def test_secrets_are_named_in_the_log_and_their_values_are_not(admin: httpx.AsyncClient, tenant: Tenant) -> None:
    await _change(admin, tenant)
    assert (await admin.delete(f"{tenant.admin}/secrets/api_token")).status_code == 204
    page = await admin.get(f"{tenant.admin}/audit")
    assert [(row["action"], row["details"]) for row in page.json()["items"]] == [
        ("SECRETS_DELETED", {"names": ["api_token"]}),
        ("SECRETS_CHANGED", {"names": ["api_token"]}),
    ]
    assert "canary" not in page.text


async def test_a_secret_that_is_not_there_leaves_no_row(admin: httpx.AsyncClient, tenant: Tenant) -> None:
    assert (await admin.delete(f"{tenant.admin}/secrets/nobody")).status_code == 404
    assert (await admin.get(f"{tenant.admin}/audit")).json()["items"] == []


async def test_an_export_verifies_offline_with_the_key_that_somebody_kept(
    admin: httpx.AsyncClient, tenant: Tenant
) -> None:
    await _change(admin, tenant)
    kept = read_head((await admin.get(f"{tenant.admin}/audit/head")).json())
    await _change(admin, tenant, "another")
    [key] = (await admin.get(f"{tenant.admin}/audit/keys")).json()["items"]
    pinned = [bytes.fromhex(key["publicKey"])]
    answer = await admin.get(f"{tenant.admin}/audit/export")
    assert answer.headers["content-type"] == "application/x-ndjson"
    lines = answer.content.splitlines()
    report = verify_export(lines, pinned=pinned, expected=[kept])
    assert (report.ok, report.rows, report.heads, report.pinned) == (True, 2, 2, True)
    assert not verify_export(lines[:-1], pinned=pinned).ok
    assert not verify_export([*lines[:-2], lines[-1]], pinned=pinned).ok
    assert not verify_export(lines, pinned=[bytes(32)]).ok


async def test_an_export_without_details_names_nobody_and_verifies(admin: httpx.AsyncClient, tenant: Tenant) -> None:
    await _change(admin, tenant)
    answer = await admin.get(f"{tenant.admin}/audit/export", params={"details": "false"})
    assert verify_export(answer.content.splitlines()).ok
    assert not {"details", "salt"} & {key for line in answer.content.splitlines()[1:] for key in orjson.loads(line)}


async def test_a_verification_goes_on_where_it_stopped(admin: httpx.AsyncClient, tenant: Tenant) -> None:
    for name in ("a", "b", "c"):
        await _change(admin, tenant, name)
    url = f"{tenant.admin}/audit/verify"
    first = (await admin.get(url, params={"limit": 2})).json()
    assert (first["ok"], first["rows"]) == (True, 2)
    last = (await admin.get(url, params={"limit": 2, "cursor": first["nextCursor"]})).json()
    assert (last["ok"], last["rows"], last["lastSeq"], last["nextCursor"]) == (True, 1, 3, None)
    assert (await admin.get(url, params={"cursor": "bm9uZQ"})).status_code == 422


async def test_a_rotated_key_is_introduced_and_told_of(admin: httpx.AsyncClient, tenant: Tenant) -> None:
    made = await admin.post(f"{tenant.admin}/audit/keys")
    assert made.status_code == 201, made.text
    keys = (await admin.get(f"{tenant.admin}/audit/keys")).json()["items"]
    assert [key["version"] for key in keys] == [1, 2]
    assert keys[1] == made.json()
    assert keys[1]["introducedBy"] == keys[0]["publicKey"]
    [row] = (await admin.get(f"{tenant.admin}/audit")).json()["items"]
    assert (row["action"], row["details"]["publicKey"]) == ("AUDIT_KEY_ROTATED", keys[1]["publicKey"])
    export = (await admin.get(f"{tenant.admin}/audit/export")).content.splitlines()
    assert verify_export(export, pinned=[bytes.fromhex(keys[0]["publicKey"])]).ok


async def test_an_edited_row_shows_in_the_verification(
    admin: httpx.AsyncClient, tenant: Tenant, deps: ObservedDeps
) -> None:
    import asyncpg

    await _change(admin, tenant)
    owner = await asyncpg.connect(deps.settings.database_url)
    try:
        async with owner.transaction():
            await owner.execute("SET LOCAL session_replication_role = replica")
            await owner.execute("UPDATE audit_log SET action = 'X' WHERE org_id = $1", tenant.scope.org_id)
    finally:
        await owner.close()
    answer = (await admin.get(f"{tenant.admin}/audit/verify")).json()
    assert (answer["ok"], answer["faultCount"]) == (False, 1)
    assert (answer["faults"][0]["seq"], answer["faults"][0]["kind"]) == (1, "EDITED")
    page = await admin.get(f"{tenant.admin}/audit")
    assert [row["action"] for row in page.json()["items"]] == ["X"]  # the page stands what no build of ours wrote
