"""Whatever a tenant can point somewhere goes out through planvault.net (invariant 8)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.test_rooms import ROOT, modules

WAYS_OUT = {
    "httpx": {"AsyncClient", "Client", "get", "post", "put", "patch", "delete", "head", "options", "request", "stream"},
    "httpcore": {"AsyncConnectionPool", "ConnectionPool", "AnyIOBackend", "request", "stream"},
    "asyncio": {"open_connection"},
    "socket": {"create_connection", "socket"},
}
LIBRARIES = {"requests", "aiohttp", "urllib3", "urllib.request", "http.client", "ftplib", "smtplib", "websockets"}

# Who else may open a connection, and why no tenant chooses where it goes.
EXEMPT = {
    "planvault/net": "is the guard",
    "planvault/crypto": "the operator's key provider (Vault), from the process's environment",
    "planvault/cli": "talks to its own platform, with the user's own rights",
    "planvault/llm": "the operator's model server, from the process's environment",
    "cluster": "probes its own parts on this machine",
}


def ways_out(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in LIBRARIES)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module in LIBRARIES:
                yield node.module
            yield from (
                f"{node.module}.{alias.name}" for alias in node.names if alias.name in WAYS_OUT.get(node.module, ())
            )
        elif (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.attr in WAYS_OUT.get(node.value.id, ())
        ):
            yield f"{node.value.id}.{node.attr}"


@pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(ROOT))) for path in modules()])
def test_only_exempt_rooms_open_connections_of_their_own(path: Path) -> None:
    place = path.relative_to(ROOT).as_posix()
    if any(place.startswith(f"{room}/") for room in EXEMPT):
        return
    assert list(ways_out(path)) == [], f"{place} goes out by itself; use planvault.net.client.GuardedHttp"


def test_every_exemption_is_still_needed() -> None:
    used = {room for path in modules() for room in EXEMPT if path.is_relative_to(ROOT / room) and any(ways_out(path))}
    assert used == set(EXEMPT)
