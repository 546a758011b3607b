"""A throw-away database: an embedded Postgres with its settings as shipped, or the one that the environment names."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.data_dir import prepare
from cluster.postgres import embedded
from cluster.server_user import server_user


@contextmanager
def throw_away() -> Iterator[tuple[str, Path]]:
    """URL of an empty database, and a folder that goes with it."""
    root = Path(tempfile.mkdtemp(prefix="planvault-bench-"))
    root.chmod(0o755)  # the server may run as another user, who must be able to pass
    try:
        given = os.environ.get("PLANVAULT_BENCHMARK_DATABASE_URL")
        if given:
            yield given, root
            return
        user = server_user()
        server = embedded(prepare(root / "data", user), user)
        server.start()
        try:
            yield server.url("postgres"), root
        finally:
            server.stop()
    finally:
        shutil.rmtree(root, ignore_errors=True)
