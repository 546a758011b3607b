"""Everything that anybody could read of a running platform, given to a search."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import psutil
import redis
from typer.testing import CliRunner

from cluster import postgres, state
from cluster.data_dir import existing
from cluster.server_user import server_user
from planvault.cli.main import app
from tests.e2e.canaries import Search
from tests.e2e.conftest import Platform
from tests.e2e.secret_places import CONTENTS

PRIVATE = frozenset({"keyset.json", "credentials.json", "ray_token", "database.json"})
# Job and session ids of Ray's are not needed: these list them all. `delay`, profilers and stack dumps are left out.
RAY_ROUTES = (
    *("api/v0/tasks?limit=5000&detail=1", "api/v0/actors?limit=500&detail=1", "api/v0/workers?limit=500&detail=1"),
    *("api/v0/objects?limit=500", "api/v0/logs?node_ip=127.0.0.1", "api/v0/jobs?detail=1", "api/v0/nodes?detail=1"),
    *("api/v0/runtime_envs?detail=1", "api/v0/placement_groups?detail=1", "api/v0/cluster_events?detail=1"),
    *("api/jobs/", "api/serve/applications/", "api/cluster_status", "api/component_activities", "events"),
    *("nodes?view=summary", "logical/actors"),
)
COMMANDS = (
    *(("status", "--json"), ("doctor", "--json"), ("doctor",), ("runs",), ("runs", "--json"), ("logs",)),
    *(("keys", "list"), ("keys", "list", "--json"), ("tools", "list"), ("imports", "list"), ("scenarios", "list")),
    *(("jobs", "list"), ("jobs", "list", "--json"), ("members", "list"), ("members", "invitations"), ("audit", "list")),
    *(("tokens", "list", "--json"), ("orgs", "list", "--json"), ("gdpr", "status"), ("audit", "verify", "--json")),
)


def every_answer(platform: Platform, known: Mapping[str, str], person: Mapping[str, str], search: Search) -> None:
    """Every GET of the public document that needs no id but those we know: as key, as admin and as a person."""
    document = httpx.get(f"{platform.base_url}/api/openapi.json").text
    search.look("openapi", document)
    headers = {"/api/v1/account": person, "/api/": platform.project_headers, "/admin/": platform.admin_headers}
    asked = 0
    for path, operations in json.loads(document)["paths"].items():
        url = path
        for name, value in known.items():
            url = url.replace(f"{{{name}}}", value)
        prefix = next((prefix for prefix in headers if path.startswith(prefix)), None)
        # The chat is searched event by event; open signals are listed with their token, for keys that may write.
        if "get" in operations and "{" not in url and prefix and not url.endswith(("/chat", "/signals")):
            answer = httpx.get(platform.base_url + url, headers=headers[prefix], timeout=30)
            search.look(f"api {path}", f"{answer.headers}\n".encode() + answer.content, CONTENTS)
            asked += answer.status_code == 200
    assert asked >= 25, asked


def every_file(platform: Platform, search: Search) -> None:
    """All that the platform wrote but the database's own files, and the private files that are the secret places."""
    found = state.read(existing(platform.data_dir))
    assert found is not None
    assert found.ray_dir is not None
    for folder in (platform.data_dir, found.ray_dir):
        for directory, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if not (Path(directory) / name / "PG_VERSION").exists()]
            for name in names:
                path = Path(directory) / name
                if name in PRIVATE or path.name.startswith("keyset") or not path.is_file():
                    assert not path.is_file() or path.stat().st_mode & 0o077 == 0, f"{path} is not private"
                    continue
                search.look("ray's files" if folder == found.ray_dir else "log files", path.read_bytes())
    for log in (platform.data_dir / "postgres" / "log").glob("*"):
        search.look("database log", log.read_bytes())


def rays_surface(platform: Platform, token: str, search: Search) -> None:
    """What the dashboard and its state API tell who has the token, and every page of metrics."""
    found = state.read(existing(platform.data_dir))
    assert found is not None
    assert found.ray is not None
    headers = {"Authorization": f"Bearer {token}"}
    for route in RAY_ROUTES:
        answer = httpx.get(f"{found.dashboard_url}/{route}", headers=headers, timeout=30, trust_env=False)
        assert answer.status_code == 200, (route, answer.text[:500])
        search.look(f"ray {route}", answer.text)
    ports: set[int] = set()
    for process in found.ray.members():
        try:
            listening = process.net_connections(kind="tcp")
        except psutil.NoSuchProcess:
            continue
        ports |= {each.laddr.port for each in listening if each.status == psutil.CONN_LISTEN}
    pages = 0
    for port in ports:
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/metrics", headers=headers, timeout=2, trust_env=False)
        except httpx.HTTPError:
            continue  # speaks gRPC
        if answer.status_code == 200 and "# TYPE" in answer.text:
            pages += 1
            search.look("metrics", answer.text)
    assert pages > 0


def command_lines(platform: Platform, search: Search) -> None:
    """`/proc/PID/cmdline` of everything that runs of the platform, the database's processes and watchers included."""
    names = set()
    for process in _processes(platform):
        try:
            line = process.cmdline()
        except psutil.NoSuchProcess:
            continue
        names.add(process.pid)
        search.look("command lines", "\0".join(line))
    assert len(names) >= 10, names


def _processes(platform: Platform) -> Iterator[psutil.Process]:
    """By what they were started with: a process's title, as the database sets it, tells less."""
    for process in psutil.process_iter():
        try:
            ours = str(platform.data_dir) in "\0".join([*process.cmdline(), *process.environ().values()])
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if ours:
            yield process
            yield from process.children()


def database_dump(platform: Platform, search: Search) -> None:
    server = postgres.embedded(existing(platform.data_dir), server_user())
    environment = {**os.environ, "LD_LIBRARY_PATH": str(server.binaries / "lib")}
    made = subprocess.run(
        [str(server.binaries / "bin" / "pg_dump"), "--dbname", server.url()], capture_output=True, env=environment
    )
    assert made.returncode == 0, made.stderr.decode()
    search.look("database dump", made.stdout)


def redis_contents(client: redis.Redis, search: Search) -> None:
    """Keys as they are called, and values as `DUMP` gives them."""
    for key in client.scan_iter(count=1_000):
        value = client.get(key) if client.type(key) == b"string" else client.dump(key)
        search.look("redis", key + b"\n" + (value if isinstance(value, bytes) else b""))


def command_line(platform: Platform, search: Search) -> None:
    """In this process: what a command prints is the same, and twenty interpreters need not start."""
    for arguments in COMMANDS:
        place = [*arguments, "--data-dir", str(platform.data_dir)]
        ran = CliRunner().invoke(app, place, env={"COLUMNS": "200", "DATABASE_URL": None})
        assert ran.exit_code in (0, 1), (arguments, ran.output)
        assert not isinstance(ran.exception, Exception), (arguments, ran.exception)
        search.look(f"planvault {' '.join(arguments)}", ran.output, CONTENTS)
