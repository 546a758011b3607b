"""Deploys the Serve applications of serve.yaml over Ray's REST API, the way `serve deploy` and KubeRay do."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import httpx
import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

from cluster.patience import busyness, late
from cluster.topology import LOOPBACK, SERVE_CONFIG, App
from models.base import JsonObject
from planvault.errors import BringUpFailed

_APPLICATIONS = "/api/serve/applications/"
_OBJECT: TypeAdapter[JsonObject] = TypeAdapter(JsonObject)
_POLL_S = 0.2
_LONGEST = 500  # characters of what Serve says
_FAILED = frozenset({"DEPLOY_FAILED", "UNHEALTHY"})


class _Deployment(BaseModel):
    model_config = ConfigDict(extra="ignore")
    status: str
    message: str = ""


class AppStatus(BaseModel):
    """One application as Serve sees it."""

    model_config = ConfigDict(extra="ignore")
    status: str
    message: str = ""
    deployments: dict[str, _Deployment] = {}

    @property
    def running(self) -> bool:
        return self.status == "RUNNING"

    @property
    def reason(self) -> str:
        """The most telling line of what Serve reports: the exception, not its traceback."""
        texts = [deployment.message for deployment in self.deployments.values()] + [self.message]
        return _most_telling("\n".join(texts))


class _Details(BaseModel):
    model_config = ConfigDict(extra="ignore")
    applications: dict[str, AppStatus] = {}


def config(port: int) -> JsonObject:
    """serve.yaml for this machine: on loopback, at `port`."""
    loaded = _OBJECT.validate_python(yaml.safe_load(SERVE_CONFIG.read_text(encoding="utf-8")))
    options = loaded["http_options"]
    assert isinstance(options, dict), "serve.yaml: http_options is a mapping"
    return loaded | {"http_options": options | {"host": LOOPBACK, "port": port}}


@dataclass(frozen=True, slots=True)
class ServeApi:
    """Ray's dashboard, which carries Serve's REST API. Every call may raise BringUpFailed."""

    dashboard_url: str
    token: str

    def deploy(self, wanted: JsonObject) -> None:
        """Declare the applications; Serve builds them in the background."""
        self._call("PUT", body=wanted)

    def status(self) -> Mapping[str, AppStatus]:
        return _Details.model_validate_json(self._call("GET").content).applications

    def wait_until_running(self, apps: Sequence[App], report: Callable[[App], None], *, timeout_s: float) -> None:
        """Wait for every application; `report` gets the name of each as it becomes ready.

        Raises BringUpFailed for one that failed, with its reason, and for those that are late.
        """
        deadline = time.monotonic() + timeout_s
        waiting = list(apps)
        while True:
            found = self.status()
            for app in [app for app in waiting if app in found]:
                if found[app].running:
                    waiting.remove(app)
                    report(app)
                elif found[app].status in _FAILED:
                    raise BringUpFailed(f"The application {app} could not be deployed: {found[app].reason}")
            if not waiting:
                return
            if time.monotonic() >= deadline:
                missing = ", ".join(f"{app} ({_state(found.get(app))})" for app in waiting)
                raise late(f"Not all applications were ready ({missing})", timeout_s)
            time.sleep(_POLL_S)

    def _call(self, method: str, *, body: JsonObject | None = None) -> httpx.Response:
        try:
            response = httpx.request(
                method,
                self.dashboard_url + _APPLICATIONS,
                headers={"Authorization": f"Bearer {self.token}"},
                json=body,
                timeout=60.0,
                trust_env=False,
            )
        except httpx.TransportError as error:
            raise BringUpFailed(f"Ray's dashboard at {self.dashboard_url} does not answer: {error}") from error
        if response.is_error:
            busy = busyness()  # a controller that did not answer its dashboard in time is a refusal as well
            told = f"Ray Serve refused ({response.status_code}): {_most_telling(response.text)}."
            raise BringUpFailed(f"{told} Note that {busy}." if busy else told)
        return response


def _most_telling(text: str) -> str:
    """The exception of a traceback, else the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if _looks_like_an_exception(line)]
    return (errors or lines or ["no reason given"])[-1][-_LONGEST:]


def _looks_like_an_exception(line: str) -> bool:
    name, _, _ = line.partition(":")
    return name.rpartition(".")[2].endswith(("Error", "Exception", "Failed", "Problem"))


def _state(app: AppStatus | None) -> str:
    return "not deployed" if app is None else f"{app.status}: {app.reason}"
