"""PlanVault's public example clients, as sequences of requests, against the whole platform."""

import json
import time
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import httpx
import pytest
from rich.console import Console

from models.base import JsonObject
from planvault.cli.client import ApiClient
from planvault.cli.imports import await_import
from tests.e2e.conftest import Platform
from tests.e2e.slow_shop import slow_shop

pytestmark = pytest.mark.e2e

PATIENCE_S = 60.0


@pytest.fixture
def http(platform: Platform) -> Iterator[httpx.Client]:
    """Nothing but HTTP, as a client in another language has it."""
    headers = {**platform.project_headers, "Content-Type": "application/json"}
    with httpx.Client(base_url=platform.runtime_url, headers=headers, timeout=10, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def shop(api: ApiClient) -> Iterator[str]:
    with slow_shop(0.02) as base_url:
        spec = httpx.get(f"{base_url}/openapi.json").json()
        started = api.import_spec("clientshop", base_url=base_url, spec=spec)
        await_import(api, str(started["importId"]), Console(file=StringIO()), timeout_s=120)
        yield base_url
        api.delete_integration(str(started["toolId"]))


def poll(http: httpx.Client, session: str, wanted: Callable[[JsonObject], bool]) -> list[JsonObject]:
    """The history, once an event of it is wanted; the way the shell script waits."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        events: list[JsonObject] = http.get(f"/sessions/{session}/history").raise_for_status().json()["events"]
        if any(wanted(event) for event in events):
            return events
        time.sleep(0.1)
    raise AssertionError(f"not seen within {PATIENCE_S:g} s; history: {[event['eventType'] for event in events]}")


def test_the_shell_script_s_sequence_on_a_prompt_that_needs_no_tool(http: httpx.Client) -> None:
    body = {"externalUserId": "bash-e2e-demo", "contextVars": {}, "tags": ["bash-e2e", "examples"]}
    session = http.post("/sessions", json=body, headers={"X-Request-Id": "bash-e2e-0a"}).raise_for_status()
    assert session.headers["X-Request-Id"] == "bash-e2e-0a"
    sid = session.json()["id"]
    http.put(f"/sessions/{sid}/secrets", json={"secrets": {"USER_TOKEN": "test-token"}}).raise_for_status()
    sent = http.post(f"/sessions/{sid}/messages", json={"message": "Say hello in one short sentence."})
    assert sent.status_code == 202
    assert sent.json()["messageId"]
    events = poll(http, sid, lambda event: event["eventType"] in ("confirm_plan_required", "done", "error"))
    if any(event["eventType"] == "confirm_plan_required" for event in events):
        http.post(f"/sessions/{sid}/actions", json={"action": "approve"}).raise_for_status()
    events = poll(http, sid, lambda event: event["eventType"] in ("done", "error"))
    kinds = [event["eventType"] for event in events]
    assert "done" in kinds
    assert "error" not in kinds
    assert next(event["content"] for event in events if event["eventType"] == "llm_reply")
    closed = http.patch(f"/sessions/{sid}", json={"status": "closed"}).raise_for_status()
    assert closed.json()["status"] == "closed"


def blocks(response: httpx.Response) -> Iterator[tuple[str, Any]]:
    """Event name and parsed data of each block, split the way the browser client splits them."""
    buffer = ""
    for text in response.iter_text():
        buffer += text
        *complete, buffer = buffer.replace("\r\n", "\n").split("\n\n")
        for block in complete:
            lines = block.split("\n")
            name = next((line[6:].strip() for line in lines if line.startswith("event:")), "message")
            data = "\n".join(line[5:].lstrip() for line in lines if line.startswith("data:"))
            if data:
                yield name, json.loads(data)


def test_the_browser_client_s_sequence_with_an_approval(http: httpx.Client, shop: str) -> None:
    """The stream is open before the first message; the plan is approved where the stream asks for it."""
    sid = http.post("/sessions", json={"contextVars": {}, "externalUserId": "demo-user"}).json()["id"]
    seen: list[tuple[str, Any]] = []
    stream_headers = {"Accept": "text/event-stream", "X-Request-Id": "react-1"}
    timeout = httpx.Timeout(PATIENCE_S, connect=10)
    with http.stream("GET", f"/sessions/{sid}/chat", headers=stream_headers, timeout=timeout) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        accepted = http.post(f"/sessions/{sid}/messages", json={"message": "show customer 1"})
        assert set(accepted.json()) >= {"status", "messageId"}
        for name, data in blocks(stream):
            if name == "ping":
                continue
            seen.append((name, data))
            if name == "confirm_plan_required":
                assert data["tools"] == ["getCustomer"]
                assert isinstance(data["toolDescriptions"]["getCustomer"], str)
                http.post(f"/sessions/{sid}/actions", json={"action": "approve"}).raise_for_status()
            if name in ("done", "error"):
                break
    names = [name for name, _ in seen]
    milestones = ["started", "confirm_plan_required", "confirm_plan_result", "tool_start", "tool_end", "done"]
    assert [name for name in names if name in milestones] == milestones
    assert seen[-1][1]["status"] == "completed"
    assert "Ada Lovelace" in seen[-1][1]["reply"]
    assert not {"prompt", "tool_selection", "plan_summary", "llm_reply"} & set(names)
