"""`python -m cluster.watchdog DATA_DIR`: starts the embedded Postgres again when its postmaster has died.

`planvault up` starts it beside Ray, in Ray's POSIX session: whatever ends that session ends it too, and where the
session dies, it ends by itself. It restarts only while it holds the data directory's lock, which `up` and `down` hold
from beginning to end: a server that is being started or stopped is theirs.

Its standard output, one JSON object a line, goes to DATA_DIR/logs/watchdog.log. It imports little: it is there always.
"""

import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import psutil

from cluster.data_dir import DataDir, DirectoryBusy, existing, locked
from cluster.postgres import embedded
from cluster.processes import has_company
from cluster.server_user import server_user
from planvault.errors import BringUpFailed

MODULE = "cluster.watchdog"
LOOK_S = 1.0
SLOWEST_S = 30.0  # between two attempts
STEADY_S = 60.0  # a server that lived so long starts a new count of attempts


class Watched(Protocol):
    """What is asked of a server; see cluster.postgres.Server."""

    def pid(self) -> int | None: ...
    def takes_connections(self) -> bool: ...
    def launch(self) -> int | None: ...
    def log_end(self) -> str: ...


class Say(Protocol):
    def __call__(self, event: str, /, **fields: str | int | float | None) -> None: ...


class Watchdog:
    """One server's watch. `look` does one round and never waits for crash recovery."""

    def __init__(self, data: DataDir, server: Watched, say: Say, clock: Callable[[], float] = time.monotonic) -> None:
        self._data = data
        self._server = server
        self._say = say
        self._clock = clock
        self._attempts = 0  # since the server last was steady
        self._last_attempt = 0.0
        self._recovering = False

    def look(self) -> None:
        if self._server.pid() is not None:
            self._alive()
        elif not self._attempts or self._clock() >= self._last_attempt + self._pause():
            self._restart()

    def _alive(self) -> None:
        if self._recovering and self._server.takes_connections():
            self._recovering = False
            self._say("postgres_ready", seconds=round(self._clock() - self._last_attempt, 1))
        if self._attempts and not self._recovering and self._clock() >= self._last_attempt + STEADY_S:
            self._attempts = 0

    def _restart(self) -> None:
        try:
            with locked(self._data, patience_s=0):
                self._attempts += 1
                self._last_attempt = self._clock()
                said = self._server.log_end() if self._recovering else None  # it died while starting
                self._say("postgres_gone", attempt=self._attempts, log=said)
                pid = self._server.launch()
        except DirectoryBusy:
            return  # a command is starting or stopping the platform
        except (BringUpFailed, OSError, psutil.Error) as failure:
            self._failed(str(failure))
            return
        if pid is None:
            self._failed(self._server.log_end())
            return
        self._recovering = True
        self._say("postgres_launched", pid=pid)

    def _failed(self, reason: str) -> None:
        self._say("postgres_not_started", reason=reason, next_attempt_s=self._pause())

    def _pause(self) -> float:
        return float(min(SLOWEST_S, 2.0 ** (self._attempts - 1)))


def say(event: str, /, **fields: str | int | float | None) -> None:
    """A log line. One that cannot be written (the disk is full) must not end the watch."""
    line = {"event": event, "level": "info", "timestamp": datetime.now(UTC).isoformat(), **fields}
    try:
        print(json.dumps(line, sort_keys=True), flush=True)  # noqa: T201 - standard output is the log
    except OSError:
        return


def main(root: str) -> int:
    data = existing(Path(root))
    watchdog = Watchdog(data, embedded(data, server_user()), say)
    say("watching")
    # No handler for SIGTERM: whoever sends it on purpose holds the lock, so that no start is under way.
    while has_company():
        watchdog.look()
        time.sleep(LOOK_S)
    say("ended", reason="the platform's other processes are gone")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
