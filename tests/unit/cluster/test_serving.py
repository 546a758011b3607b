"""The Serve configuration, and how Serve's answers are read."""

import os
from collections.abc import Callable

import httpx
import pytest

from cluster import serving
from cluster.serving import AppStatus, ServeApi
from cluster.topology import APPS
from planvault.errors import BringUpFailed

_TRACEBACK = """Traceback (most recent call last):
  File "replica.py", line 1, in initialize
    raise ValueError
ValueError: the weights are missing
"""


def test_the_configuration_names_every_application_and_only_the_api_has_a_route() -> None:
    wanted = serving.config(18_080)
    applications = wanted["applications"]
    assert isinstance(applications, list)
    routes = {app["name"]: app["route_prefix"] for app in applications if isinstance(app, dict)}
    assert routes == {"api": "/", "embedder": None, "planner": None}
    assert tuple(routes) == APPS
    assert wanted["http_options"] == {"host": "127.0.0.1", "port": 18_080, "keep_alive_timeout_s": 75}


def test_ray_serve_accepts_the_configuration() -> None:
    from ray.serve.schema import ServeDeploySchema

    assert len(ServeDeploySchema.model_validate(serving.config(1_234)).applications) == len(APPS)


def test_no_request_timeout_cuts_the_event_streams() -> None:
    assert "request_timeout_s" not in serving.SERVE_CONFIG.read_text().replace("# No request_timeout_s", "")


def test_the_reason_of_a_failed_deployment_is_its_exception() -> None:
    app = AppStatus.model_validate(
        {"status": "DEPLOY_FAILED", "deployments": {"Embedder": {"status": "UNHEALTHY", "message": _TRACEBACK}}}
    )
    assert app.reason == "ValueError: the weights are missing"


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Callable[[httpx.Response], ServeApi]:
    def answer(response: httpx.Response) -> ServeApi:
        monkeypatch.setattr(httpx, "request", lambda *_, **__: response)
        return ServeApi("http://127.0.0.1:1", "token")

    return answer


def _answer(**apps: str) -> httpx.Response:
    body = {"applications": {name: {"status": status, "message": _TRACEBACK} for name, status in apps.items()}}
    return httpx.Response(200, json=body)


def test_waiting_reports_each_application_once(answered: Callable[[httpx.Response], ServeApi]) -> None:
    seen: list[str] = []
    answered(_answer(api="RUNNING", embedder="RUNNING", planner="RUNNING")).wait_until_running(
        APPS, seen.append, timeout_s=1.0
    )
    assert seen == list(APPS)


def test_waiting_ends_at_the_first_failure(answered: Callable[[httpx.Response], ServeApi]) -> None:
    with pytest.raises(BringUpFailed, match="embedder could not be deployed: ValueError: the weights are missing"):
        answered(_answer(api="DEPLOYING", embedder="DEPLOY_FAILED")).wait_until_running(
            APPS, lambda _: None, timeout_s=60.0
        )


def test_those_that_are_late_are_named(answered: Callable[[httpx.Response], ServeApi]) -> None:
    with pytest.raises(BringUpFailed, match=r"Not all applications were ready .*planner \(not deployed\).* within 0 s"):
        answered(_answer(api="RUNNING", embedder="RUNNING")).wait_until_running(APPS, lambda _: None, timeout_s=0.0)


def test_a_refusal_says_what_serve_said(answered: Callable[[httpx.Response], ServeApi]) -> None:
    with pytest.raises(BringUpFailed, match="bad import path"):
        answered(httpx.Response(500, text="bad import path")).status()


def test_of_a_refusal_s_traceback_the_exception_is_told_and_how_busy_the_machine_is(
    answered: Callable[[httpx.Response], ServeApi], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (18.5, 18.5, 18.5))
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    refused = answered(httpx.Response(500, text=_TRACEBACK + "\n" + "x" * 600))
    with pytest.raises(BringUpFailed, match=r"refused \(500\): ValueError: the weights are missing\.") as told:
        refused.deploy({})
    assert "load 18.5 on 2 cores" in str(told.value)


def test_a_quiet_machine_is_not_blamed_for_a_refusal(
    answered: Callable[[httpx.Response], ServeApi], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (0.1, 0.1, 0.1))
    with pytest.raises(BringUpFailed) as told:
        answered(httpx.Response(400, text="bad import path")).deploy({})
    assert "load" not in str(told.value)
