"""The request and event sequences of the product's public example clients, spelled out by hand.

A shell script that polls history, a browser that reads the stream, a low-code node that polls. They know nothing of
this implementation, so what they rely on must not change: header and body shapes, status codes, where fields stand.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import orjson
import pytest

from models.events import EventType
from models.ids import RunId, SessionId
from models.runs import RunStatus
from models.tenants import SessionScope
from tests.integration.serve_apps.conftest import ObservedDeps, Recorder, Tenant, client_for
from tests.integration.serve_apps.live import serving

GRAPH = {"nodes": [{"id": "n1", "kind": "call", "label": "list_orders", "tool": "list_orders"}]}


class Host:
    """Plays the session's host: takes commands up and records what a run would."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    async def takes_up_the_prompt_and_asks(self) -> RunId:
        record = self.recorder
        await record.consume_commands()
        run_id = await record.run(RunStatus.PLANNING)
        await record.event(EventType.PROMPT, {"text": "…"}, run_id=run_id)
        await record.event(EventType.RUN_PHASE, {"phase": "selecting_tools", "detail": ""}, run_id=run_id)
        await record.event(EventType.STARTED, {"planGraph": GRAPH, "runId": str(run_id)}, run_id=run_id)
        await record.run(RunStatus.AWAITING_CONFIRMATION, run_id=run_id, pending={"kind": "plan"})
        shown = {"tools": ["list_orders"], "toolDescriptions": {"list_orders": "All orders."}, "planGraph": GRAPH}
        await record.event(EventType.CONFIRM_PLAN_REQUIRED, shown, run_id=run_id)
        return run_id

    async def runs_to_the_end(self, run_id: RunId) -> None:
        record = self.recorder
        await record.consume_commands()
        await record.event(EventType.CONFIRM_PLAN_RESULT, {"approved": True}, run_id=run_id)
        await record.event(EventType.TOOL_START, {"tool": "list_orders", "nodeId": "n1", "attempt": 1}, run_id=run_id)
        await record.event(EventType.TOOL_END, {"tool": "list_orders", "nodeId": "n1", "ok": True}, run_id=run_id)
        await record.event(EventType.LLM_REPLY, {"content": "Two orders."}, run_id=run_id)
        await record.run(RunStatus.COMPLETED, run_id=run_id)
        await record.event(EventType.DONE, {"runId": str(run_id), "status": "completed"}, run_id=run_id)


def recorder_of(deps: ObservedDeps, tenant: Tenant, session_id: str) -> Recorder:
    scope = SessionScope(
        org_id=tenant.scope.org_id, project_id=tenant.scope.project_id, session_id=SessionId(UUID(session_id))
    )
    return Recorder(deps, scope)


def has(history: dict[str, Any], *types: str) -> bool:
    return any(event["eventType"] in types for event in history["events"])


async def test_the_shell_script_opens_sends_polls_approves_and_closes(
    deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant
) -> None:
    """curl -f: every answer must be below 400, and every one echoes the script's request id."""
    request_id = "bash-e2e-0123456789abcdef0123456789abcdef"
    headers = {"Content-Type": "application/json", "X-Request-Id": request_id}
    base = f"{tenant.base}/sessions"

    async def curl(method: str, url: str, body: str | None = None) -> httpx.Response:
        answer = await client.request(method, url, content=body, headers=headers)
        assert answer.status_code < 400, answer.text
        assert answer.headers["x-request-id"] == request_id
        return answer

    opened = await curl("POST", base, '{"externalUserId":"bash-e2e-demo","contextVars":{},"tags":["bash-e2e","x"]}')
    session_id = opened.json()["id"]
    host = Host(recorder_of(deps, tenant, session_id))
    await curl("PUT", f"{base}/{session_id}/secrets", '{"secrets":{"USER_TOKEN":"test-token-from-bash"}}')
    sent = await curl("POST", f"{base}/{session_id}/messages", '{"message":"Say hello in one short sentence."}')
    assert sent.status_code == 202
    assert sent.json()["messageId"]
    assert not has((await curl("GET", f"{base}/{session_id}/history")).json(), "confirm_plan_required", "done", "error")
    run_id = await host.takes_up_the_prompt_and_asks()
    assert has((await curl("GET", f"{base}/{session_id}/history")).json(), "confirm_plan_required")
    await curl("POST", f"{base}/{session_id}/actions", '{"action":"approve"}')
    await host.runs_to_the_end(run_id)
    history = (await curl("GET", f"{base}/{session_id}/history")).json()
    assert has(history, "done")
    assert not has(history, "error")
    assert [event["content"] for event in history["events"] if event["eventType"] == "llm_reply"] == ["Two orders."]
    closed = await curl("PATCH", f"{base}/{session_id}", '{"status":"closed"}')
    assert closed.json()["status"] == "closed"


class BrowserStream:
    """Splits the stream as a hand-written browser client does: blocks at blank lines, `data:` lines joined."""

    def __init__(self) -> None:
        self.buffer = ""
        self.seen: list[tuple[str, dict[str, Any]]] = []

    def feed(self, text: str) -> None:
        *blocks, self.buffer = re.split(r"\r\n\r\n|\n\n", self.buffer + text)
        for block in blocks:
            name, data = "message", []
            for line in re.split(r"\r?\n", block):
                if line.startswith("event:"):
                    name = line[6:].strip()
                elif line.startswith("data:"):
                    data.append(line[5:].lstrip())
            if data:
                self.seen.append((name, orjson.loads("\n".join(data))))

    async def until(self, chunks: AsyncIterator[str], name: str) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while True:
                for seen, payload in self.seen:
                    if seen == name:
                        return payload
                self.feed(await anext(chunks))


async def test_the_browser_reads_one_stream_over_several_prompts_and_approves_from_it(
    deps: ObservedDeps, tenant: Tenant
) -> None:
    async with serving(deps) as url, httpx.AsyncClient(base_url=url, headers=tenant.auth, timeout=20) as browser:
        body = {"contextVars": {}, "externalUserId": "demo-user", "tags": ["react-chat-example"]}
        session_id = (await browser.post(f"{tenant.base}/sessions", json=body)).json()["id"]
        host = Host(recorder_of(deps, tenant, session_id))
        base = f"{tenant.base}/sessions/{session_id}"
        async with browser.stream("GET", f"{base}/chat", headers={"Accept": "text/event-stream"}) as response:
            chunks, stream = response.aiter_text(), BrowserStream()
            sent = await browser.post(f"{base}/messages", json={"message": "Hello — run a short plan."})
            assert isinstance(sent.json()["status"], str)
            assert isinstance(sent.json()["messageId"], str)
            run_id = await host.takes_up_the_prompt_and_asks()
            assert (await stream.until(chunks, "started"))["planGraph"] == GRAPH
            asked = await stream.until(chunks, "confirm_plan_required")
            assert (asked["tools"], asked["toolDescriptions"]) == (["list_orders"], {"list_orders": "All orders."})
            approved = await browser.post(f"{base}/actions", json={"action": "approve"})
            assert approved.is_success
            await host.runs_to_the_end(run_id)
            await stream.until(chunks, "done")
            assert [name for name, _ in stream.seen if name.startswith("tool_")] == ["tool_start", "tool_end"]
            assert not {name for name, _ in stream.seen} & {"prompt", "llm_reply", "error"}
            # The stream stays open after `done`: the next prompt of the session is seen on it.
            stream.seen.clear()
            await browser.post(f"{base}/messages", json={"message": "And again."})
            slots = [{"variable": "city", "prompt": "Which city?", "options": ["Oslo"], "type": "string"}]
            await host.recorder.run(RunStatus.AWAITING_SLOTS, pending={"kind": "slots", "slots": slots})
            await host.recorder.event(EventType.SLOTS_REQUIRED, {"planGraph": GRAPH, "slots": slots})
            assert (await stream.until(chunks, "slots_required"))["slots"] == slots
            filled = await browser.post(f"{base}/actions", json={"action": "fill_slots", "values": {"city": "Oslo"}})
            assert filled.is_success


async def test_a_browser_on_another_origin_may_call_and_read_the_request_id(
    deps: ObservedDeps, tenant: Tenant, path: str
) -> None:
    async with client_for(deps, {"Origin": "http://localhost:5174"}) as browser:
        preflight = await browser.options(
            f"{path}/messages",
            headers={
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type,x-request-id,idempotency-key",
            },
        )
        assert preflight.status_code == 200
        assert "POST" in preflight.headers["access-control-allow-methods"]
        assert "x-request-id" in preflight.headers["access-control-allow-headers"].lower()
        refused = await browser.get(f"{path}/history", headers={"X-Request-Id": "7b0c-browser"})
        assert refused.status_code == 401
        assert refused.headers["access-control-allow-origin"] == "*"
        assert "X-Request-Id" in refused.headers["access-control-expose-headers"].split(", ")
        problem = refused.json()
        assert refused.headers["x-request-id"] == problem["instance"] == "7b0c-browser"
        assert problem["detail"]


async def test_the_low_code_node_sends_form_fields_and_reads_the_last_reply_from_history(
    deps: ObservedDeps, client: httpx.AsyncClient, tenant: Tenant
) -> None:
    """Its request id holds a colon and a plus, which ours do not: it is replaced, not refused."""
    opened = await client.post(
        f"{tenant.base}/sessions",
        json={"contextVars": "{}", "tags": '["n8n"]', "externalUserId": "n8n-workflow"},
        headers={"X-Request-Id": "0-2026-01-01T00:00:00.000+00:00"},
    )
    assert opened.status_code == 201
    assert re.fullmatch(r"[a-zA-Z0-9._~-]{1,128}", opened.headers["x-request-id"])
    session_id = opened.json()["id"]
    await client.post(f"{tenant.base}/sessions/{session_id}/messages", json={"message": "hi"})
    host = Host(recorder_of(deps, tenant, session_id))
    await host.runs_to_the_end(await host.takes_up_the_prompt_and_asks())
    events = (await client.get(f"{tenant.base}/sessions/{session_id}/history")).json()["events"]
    assert next(event["eventType"] for event in events if event["eventType"] in ("done", "error")) == "done"
    assert next(event["content"] for event in reversed(events) if event["eventType"] == "llm_reply") == "Two orders."


@pytest.mark.parametrize("kind", ["json", "yaml", "bare yaml"])
async def test_an_import_guide_registers_a_document_and_enables_it_by_its_name(
    deps: ObservedDeps, admin: httpx.AsyncClient, client: httpx.AsyncClient, tenant: Tenant, kind: str
) -> None:
    yaml = "openapi: 3.0.3\ninfo: {title: Task API, version: '1'}\nservers: [{url: https://x.example}]\npaths: {}\n"
    url = f"{tenant.admin}/tools"
    if kind == "json":
        spec = {"openapi": "3.0.3", "info": {"title": "Tasks", "version": "1.0.0"}, "paths": {}}
        body = {"name": "task-api", "displayName": "Task API", "baseUrl": "https://x.example/v1", "openApiSpec": spec}
        answer = await admin.post(url, json=body)
    else:
        fields = "name: task-api\nopenApiSpec: |\n" + "".join(f"  {line}\n" for line in yaml.splitlines())
        content = fields if kind == "yaml" else yaml
        answer = await admin.post(url, content=content, headers={"Content-Type": "application/yaml"})
    assert answer.status_code == 201, answer.text
    assert set(answer.json()) == {"toolId", "importId"}
    enabled = await client.put(f"{tenant.base}/tools/integrations/task-api", json={"enabled": True})
    assert enabled.status_code == 200
    assert enabled.json()["enabled"] is True
    document = await deps.database.fetchval("SELECT document FROM imports ORDER BY created_at DESC LIMIT 1")
    assert "openapi" in document
