"""What runs, and whether it works: the API's own answer, and the processes behind it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from cluster import state, watchdog
from cluster.data_dir import existing
from cluster.patience import late
from cluster.teardown import embedded_server

_POLL_S = 0.1
_PROBE_TIMEOUT_S = 5.0


class PartHealth(BaseModel):
    model_config = ConfigDict(extra="ignore")
    ready: bool
    needed: bool = True
    detail: str = ""


class ApiHealth(BaseModel):
    """GET /health, as far as bring-up reads it."""

    model_config = ConfigDict(extra="ignore")
    ready: bool
    parts: dict[str, PartHealth] = {}

    @property
    def missing(self) -> str:
        return ", ".join(
            f"{name} ({part.detail or 'not ready'})"
            for name, part in self.parts.items()
            if part.needed and not part.ready
        )


@dataclass(frozen=True, slots=True)
class Status:
    """What `planvault status` shows."""

    running: bool
    healthy: bool
    base_url: str
    dashboard_url: str
    parts: dict[str, PartHealth]
    processes: int
    memory_mib: int  # proportional set size of all processes

    def as_json(self) -> dict[str, object]:
        return {
            "running": self.running,
            "healthy": self.healthy,
            "baseUrl": self.base_url,
            "dashboardUrl": self.dashboard_url,
            "parts": {name: part.model_dump() for name, part in self.parts.items()},
            "processes": self.processes,
            "memoryMiB": self.memory_mib,
        }


def probe(base_url: str) -> ApiHealth | None:
    """The API's readiness; None where it does not answer as PlanVault's API does."""
    try:
        response = httpx.get(base_url + "/health", timeout=_PROBE_TIMEOUT_S, trust_env=False)
        return ApiHealth.model_validate_json(response.content)
    except (httpx.TransportError, ValidationError):
        return None


def wait_until_ready(base_url: str, *, timeout_s: float) -> None:
    """Raises BringUpFailed with the parts that are not ready when the time is over."""
    deadline = time.monotonic() + timeout_s
    while True:
        health = probe(base_url)
        if health is not None and health.ready:
            return
        if time.monotonic() >= deadline:
            missing = "the API does not answer" if health is None else health.missing
            raise late(f"The platform did not become healthy ({missing})", timeout_s)
        time.sleep(_POLL_S)


def status(data_dir: Path) -> Status:
    """The platform of a data directory as it is now. Starts and changes nothing."""
    data = existing(data_dir)
    found = state.read(data)
    server = embedded_server(data)
    processes = found.ray.members() if found is not None and found.ray is not None else []
    postmaster = server.pid() if server is not None else None
    if postmaster is not None:
        leader = psutil.Process(postmaster)
        processes += [leader, *leader.children(recursive=True)]
    health = probe(found.base_url) if found is not None and processes else None
    parts = {} if health is None else health.parts
    if found is not None and found.watched and processes:
        parts = parts | {"watchdog": _watchdog(processes)}
    return Status(
        running=bool(processes),
        healthy=health is not None and health.ready,
        base_url=found.base_url if found is not None else "",
        dashboard_url=found.dashboard_url if found is not None else "",
        parts=parts,
        processes=len(processes),
        memory_mib=sum(map(_pss, processes)) // 2**20,
    )


def _watchdog(processes: Sequence[psutil.Process]) -> PartHealth:
    if any(watchdog.MODULE in _command(process) for process in processes):
        return PartHealth(ready=True, detail="restarts the embedded Postgres")
    return PartHealth(ready=False, detail="not running: nobody restarts Postgres until `planvault down` and `up`")


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _pss(process: psutil.Process) -> int:
    try:
        memory = process.memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(memory, "pss", memory.rss))
