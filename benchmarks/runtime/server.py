"""The Postgres that everybody is measured on: a throw-away one with its settings as shipped, or the one named."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from cluster.data_dir import prepare
from cluster.postgres import embedded
from cluster.server_user import server_user

_SHOWN = ("server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_sync_method", "max_connections")


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    folder: Path  # an empty folder that goes with the server

    @property
    def postmaster(self) -> int | None:
        """The server's first process; None where it is not ours."""
        found = next(self.folder.rglob("postmaster.pid"), None)
        return None if found is None else int(found.read_text(encoding="utf-8").splitlines()[0])

    async def database(self, name: str) -> str:
        """URL of a new, empty database on the server."""
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(f'CREATE DATABASE "{name}"')
        finally:
            await connection.close()
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{name}"))

    async def settings(self) -> dict[str, str]:
        """What decides how durable a commit is, read from the server."""
        connection = await asyncpg.connect(self.url)
        try:
            return {name: str(await connection.fetchval(f"SHOW {name}")) for name in _SHOWN}
        finally:
            await connection.close()


@contextmanager
def throw_away() -> Iterator[Server]:
    root = Path(tempfile.mkdtemp(prefix="planvault-bench-"))
    root.chmod(0o755)  # the server may run as another user, who must be able to pass
    try:
        given = os.environ.get("PLANVAULT_BENCHMARK_DATABASE_URL")
        if given:
            yield Server(given, root)
            return
        user = server_user()
        # As shipped, but for room: so many contestants hold their connections side by side.
        server = replace(embedded(prepare(root / "data", user), user), settings={"max_connections": "200"})
        server.start()
        try:
            yield Server(server.url("postgres"), root)
        finally:
            server.stop()
    finally:
        shutil.rmtree(root, ignore_errors=True)
