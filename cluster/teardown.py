"""Takes the platform down: drains, ends, waits, then looks whether anything is left."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from cluster import postgres, ray_head, state
from cluster.data_dir import DataDir, existing, locked
from cluster.server_user import server_user
from planvault.errors import BringUpFailed
from planvault.settings import Settings
from planvault.storage.drains import drain_cluster


@dataclass(frozen=True, slots=True)
class Stopped:
    """What `down` ended."""

    ray_processes: int
    database: bool

    @property
    def anything(self) -> bool:
        return bool(self.ray_processes or self.database)


def down(data_dir: Path, settings: Settings | None = None) -> Stopped:
    """Stop what runs in a data directory. Raises BringUpFailed where a process survives, naming it.

    Session hosts first give their shards back, and wait for the calls on the wire for as long as `settings` say.
    """
    settings = settings or Settings()
    data = existing(data_dir)
    if not data.root.is_dir():
        return Stopped(0, database=False)
    with locked(data), _undisturbed():
        server = embedded_server(data)
        _drain(data, settings, server)
        return _stop(data, server)


def embedded_server(data: DataDir) -> postgres.Server | None:
    """The embedded server of a directory that has had one."""
    return postgres.embedded(data, server_user()) if data.postgres.is_dir() else None


def stop_everything(data: DataDir, server: postgres.Server | None) -> Stopped:
    """Ray first, so that nobody asks a database that has gone. One part's failure does not spare the other.

    The caller holds the lock.
    """
    with _undisturbed():
        return _stop(data, server)


def _drain(data: DataDir, settings: Settings, server: postgres.Server | None) -> None:
    found = state.read(data)
    if found is None or found.ray is None or not ray_head.runs(found.ray):
        return
    embedded = found.watched and server is not None and server.pid() is not None
    url = server.url() if embedded and server is not None else settings.platform_url
    cluster = ray_head.session_name(found.ray_dir)
    if url and cluster:
        within_s, lease_s = settings.drain_seconds, settings.lease_seconds
        asyncio.run(drain_cluster(url, cluster, within_s=within_s, lease_s=lease_s))


def _stop(data: DataDir, server: postgres.Server | None) -> Stopped:
    found = state.read(data)
    failures: list[BringUpFailed] = []
    session = found.ray if found is not None else None
    members = len(session.members()) if session is not None else 0
    try:
        if session is not None and members:
            ray_head.halt(session)
    except BringUpFailed as failure:
        failures.append(failure)
    running = server is not None and server.pid() is not None
    try:
        if server is not None:
            server.stop()
    except BringUpFailed as failure:
        failures.append(failure)
    if failures:
        raise BringUpFailed(" ".join(failure.detail for failure in failures))
    state.clear(data)
    return Stopped(members, running)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C does not stop the stopping half-way."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    # A handler rather than SIG_IGN: Python reports a signal that came just before it was ignored.
    before = {number: signal.signal(number, _not_now) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _not_now(_number: int, _frame: FrameType | None) -> None:
    """Does nothing."""
