"""A platform that `planvault up` has brought up."""

import json
import stat
from pathlib import Path

import httpx
import psutil
import pytest

from cluster import state
from cluster.data_dir import existing
from cluster.processes import ProcessSession
from tests.e2e.conftest import PlanVault, Platform

pytestmark = pytest.mark.e2e

# The issue allows 3 GB for the idle platform.
MEMORY_LIMIT_MIB = 3_000


def ray_session(platform: Platform) -> ProcessSession:
    found = state.read(existing(platform.data_dir))
    assert found is not None
    assert found.ray is not None
    return found.ray


def test_every_part_is_ready(platform: Platform) -> None:
    health = platform.health()
    assert health["ready"] is True
    assert isinstance(health["parts"], dict)
    assert {"database", "embedder", "planner", "sessionHosts"} <= health["parts"].keys()


def test_the_credentials_file_is_private_and_equals_what_was_printed(platform: Platform) -> None:
    path = platform.data_dir / "credentials.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == platform.credentials
    assert set(platform.credentials) == {
        *("baseUrl", "superadminUrl", "orgId", "projectId", "projectKey", "adminToken")
    }


def test_the_project_key_and_the_admin_token_open_their_apis(platform: Platform) -> None:
    tools = httpx.get(f"{platform.runtime_url}/tools", headers=platform.project_headers)
    projects = httpx.get(f"{platform.admin_url}/projects", headers=platform.admin_headers)
    assert (tools.status_code, projects.status_code) == (200, 200)
    assert httpx.get(f"{platform.runtime_url}/tools").status_code == 401


def test_everything_listens_on_loopback_only(platform: Platform) -> None:
    """Ray, its dashboard and agents, the Serve proxy and every replica; the database has no port at all."""
    listening = [
        (process.name(), connection.laddr)
        for process in ray_session(platform).members()
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) > 5
    beyond = [found for found in listening if found[1].ip not in ("127.0.0.1", "::1", "::ffff:127.0.0.1")]
    assert beyond == []


def test_rays_dashboard_wants_the_token_and_shows_readable_names(platform: Platform) -> None:
    found = state.read(existing(platform.data_dir))
    assert found is not None
    token = (platform.data_dir / "ray_token").read_text()
    assert httpx.get(f"{found.dashboard_url}/api/serve/applications/").status_code == 401
    with httpx.Client(base_url=found.dashboard_url, headers={"Authorization": f"Bearer {token}"}) as dashboard:
        applications = dashboard.get("/api/serve/applications/").json()["applications"]
        actors = dashboard.get("/api/v0/actors?limit=200").json()["data"]["result"]["result"]
        jobs = dashboard.get("/api/jobs/").json()
    assert set(applications) == {"api", "embedder", "planner"}
    names = {actor["name"].partition("-dev")[0] for actor in actors}
    assert {"supervisor", "session-host-0", "session-host-1", "catalog-worker", "scheduler"} <= names
    assert any("cluster.start_actors" in job["entrypoint"] for job in jobs)


def test_the_idle_platform_fits_into_its_memory(platform: Platform, planvault: PlanVault) -> None:
    status = json.loads(planvault("status", "--json", "--data-dir", str(platform.data_dir)).stdout)
    assert status["healthy"] is True
    assert 0 < status["memoryMiB"] < MEMORY_LIMIT_MIB


def test_a_second_up_on_the_same_directory_is_refused(platform: Platform, planvault: PlanVault) -> None:
    second = planvault("up", "--detach", "--data-dir", str(platform.data_dir), "--port", "18999")
    assert second.returncode == 1
    assert "already runs" in second.stderr
    assert platform.base_url in second.stderr
    assert "Traceback" not in second.stderr
    assert platform.health()["ready"] is True


def test_a_used_port_is_refused_before_anything_starts(
    platform: Platform, planvault: PlanVault, fresh_dir: Path
) -> None:
    port = platform.base_url.rpartition(":")[2]
    refused = planvault("up", "--detach", "--data-dir", str(fresh_dir), "--port", port)
    assert refused.returncode == 1
    assert f"Port {port} is in use" in refused.stderr
    assert "Traceback" not in refused.stderr
