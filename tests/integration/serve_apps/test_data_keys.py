"""Data keys over the Admin API: what there are, and their rotation."""

import httpx

from tests.integration.serve_apps.conftest import Tenant


async def _key_made(admin: httpx.AsyncClient, tenant: Tenant) -> None:
    answer = await admin.put(f"{tenant.admin}/secrets", json={"secrets": {"api_token": "a value"}})
    assert answer.status_code == 204, answer.text


async def test_a_rotation_is_begun_once_shown_and_in_the_log(admin: httpx.AsyncClient, tenant: Tenant) -> None:
    await _key_made(admin, tenant)
    before = (await admin.get(f"{tenant.admin}/dek")).json()
    assert before["rotation"] is None
    assert {(key["purpose"], key["status"], key["keys"]) for key in before["keys"]} == {
        ("org", "active", 1),
        ("hmac", "active", 1),
    }
    begun = await admin.post(f"{tenant.admin}/dek/rotate", json={"reason": "an employee left"})
    assert begun.status_code == 202, begun.text
    assert (begun.json()["state"], begun.json()["generation"]) == ("preparing", 2)
    for body in (b"{}", b""):  # a reason is optional, and so is the body that would hold it
        sent = {"Content-Type": "application/json"}
        again = await admin.post(f"{tenant.admin}/dek/rotate", content=body, headers=sent)
        assert (again.status_code, again.json()["type"]) == (409, "urn:planvault:problem:ROTATION_UNDER_WAY")
    shown = (await admin.get(f"{tenant.admin}/dek")).json()["rotation"]
    assert shown["id"] == begun.json()["id"]
    rows = (await admin.get(f"{tenant.admin}/audit", params={"action": "DATA_KEYS_ROTATED"})).json()["items"]
    assert [row["details"]["reason"] for row in rows] == ["an employee left"]


async def test_nothing_of_a_key_is_shown_and_bad_input_is_named(admin: httpx.AsyncClient, tenant: Tenant) -> None:
    await _key_made(admin, tenant)
    text = (await admin.get(f"{tenant.admin}/dek")).text
    assert "wrapped" not in text
    refused = await admin.post(f"{tenant.admin}/dek/rotate", json={"reason": "x" * 201})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/reason"
