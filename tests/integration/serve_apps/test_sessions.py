"""Opening, finding and closing sessions."""

import httpx
import pytest

from tests.integration.serve_apps.conftest import ObservedDeps, Recorder, Tenant, open_session


async def test_a_new_session_answers_what_was_put_into_it(client: httpx.AsyncClient, tenant: Tenant) -> None:
    body = {
        "contextVars": {"customer": {"id": 7}},
        "externalUserId": "alice",
        "tags": ["demo", "eu", "demo"],
        "metadata": {"ticket": "T-1"},
        "settings": {"autoApprovePlan": True, "plannerMode": "python_dsl"},
    }
    created = await client.post(f"{tenant.base}/sessions", json=body)
    assert created.status_code == 201
    answer = created.json()
    assert answer["status"] == "active"
    assert answer["contextVars"] == {"customer": {"id": 7}}
    assert answer["tags"] == ["demo", "eu"]
    assert answer["metadata"] == {"ticket": "T-1"}
    assert answer["hasExternalUser"] is True
    assert answer["settings"] == {"autoApprovePlan": True, "plannerMode": "python_dsl", "plannerModel": None}
    assert "alice" not in created.text
    found = await client.get(f"{tenant.base}/sessions/{answer['id']}")
    assert found.json() == answer


async def test_what_a_caller_put_into_a_session_is_not_readable_in_the_database(
    deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant
) -> None:
    await open_session(
        deps, client, tenant, contextVars={"note": "canary-context"}, externalUserId="canary-user",
        secrets={"TOKEN": "canary-secret"},
    )  # fmt: skip
    rows = await deps.database.fetch(
        "SELECT sessions::text AS row FROM sessions UNION ALL SELECT secrets::text FROM secrets"
    )
    everything = " ".join(row["row"] for row in rows)
    assert rows
    for canary in ("canary-context", "canary-user", "canary-secret"):
        assert canary not in everything
        assert canary.encode().hex() not in everything


async def test_low_code_forms_may_spell_json_out_as_text(client: httpx.AsyncClient, tenant: Tenant) -> None:
    body = {"contextVars": "{}", "tags": '["n8n"]', "externalUserId": "n8n-workflow"}
    answer = await client.post(f"{tenant.base}/sessions", json=body)
    assert answer.status_code == 201
    assert answer.json()["tags"] == ["n8n"]


async def test_sessions_are_listed_newest_first_and_paged(
    deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant
) -> None:
    made = [str((await open_session(deps, client, tenant)).scope.session_id) for _ in range(5)]
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = (
            await client.get(f"{tenant.base}/sessions", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        ).json()
        assert len(page["items"]) <= 2
        seen += [item["id"] for item in page["items"]]
        cursor = page["nextCursor"]
        if cursor is None:
            break
    assert seen == made[::-1]


async def test_a_page_of_sessions_is_bounded_in_bytes_and_none_is_left_out(
    client: httpx.AsyncClient, tenant: Tenant
) -> None:
    """What callers put into sessions may be large: one list must not fill a replica that serves everybody."""
    made = []
    for _ in range(4):
        body = {"contextVars": {"note": "x" * 1_500_000}}
        made.append((await client.post(f"{tenant.base}/sessions", json=body)).json()["id"])
    pages, cursor = [], None
    while not pages or cursor:
        params = {"cursor": cursor} if cursor else {}
        answer = (await client.get(f"{tenant.base}/sessions", params=params)).json()
        pages.append([item["id"] for item in answer["items"]])
        cursor = answer["nextCursor"]
    assert [len(page) for page in pages] == [2, 2]
    assert [one for page in pages for one in page] == made[::-1]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"tag": "eu"}, ["a", "c"]),
        ({"externalUser": "alice"}, ["a"]),
        ({"status": "closed"}, ["b"]),
        ({"status": "active", "tag": "eu"}, ["a", "c"]),
        ({"tag": "EU"}, []),
    ],
)
async def test_sessions_are_filtered_by_tag_status_and_user(
    deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant, query: dict[str, str], expected: list[str]
) -> None:
    await open_session(deps, client, tenant, tags=["eu"], externalUserId="alice", metadata={"name": "a"})
    closing = await open_session(deps, client, tenant, tags=["us"], metadata={"name": "b"})
    await open_session(deps, client, tenant, tags=["eu"], externalUserId="bob", metadata={"name": "c"})
    await client.patch(f"{tenant.base}/sessions/{closing.scope.session_id}", json={"status": "closed"})
    answer = await client.get(f"{tenant.base}/sessions", params=query)
    assert sorted(item["metadata"]["name"] for item in answer.json()["items"]) == expected


async def test_closing_is_recorded_once_and_ends_what_the_session_accepts(
    deps: ObservedDeps, client: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    for _ in range(2):
        answer = await client.patch(path, json={"status": "closed"})
        assert answer.status_code == 200
        assert answer.json()["status"] == "closed"
    kinds = await deps.database.fetch("SELECT kind FROM commands WHERE session_id = $1", session.scope.session_id)
    assert [row["kind"] for row in kinds] == ["close"]
    for call, body in (("messages", {"message": "hi"}), ("actions", {"action": "cancel"})):
        refused = await client.post(f"{path}/{call}", json=body)
        assert refused.status_code == 409
        assert refused.json()["type"] == "urn:planvault:problem:CONFLICT"
    assert (await client.put(f"{path}/secrets", json={"secrets": {"A": "b"}})).status_code == 409


async def test_session_secrets_are_stored_for_the_session_and_never_come_back(
    deps: ObservedDeps, client: httpx.AsyncClient, session: Recorder, path: str
) -> None:
    answer = await client.put(f"{path}/secrets", json={"secrets": {"USER_TOKEN": "test-token"}})
    assert (answer.status_code, answer.content) == (204, b"")
    assert await deps.secrets.value(session.scope, "USER_TOKEN") == "test-token"


async def test_a_session_whose_secrets_are_refused_is_not_there(
    deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant
) -> None:
    before = await deps.database.fetchval("SELECT count(*) FROM sessions")
    answer = await client.post(f"{tenant.base}/sessions", json={"secrets": {"not a name": "x"}})
    assert answer.status_code == 422
    assert await deps.database.fetchval("SELECT count(*) FROM sessions") == before
