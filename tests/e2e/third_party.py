"""Services that others wrote, from the package index, started on loopback: Kinto and httpbin.

Each serves its own API description. Kinto (Mozilla, Apache-2.0) keeps records: JSON bodies, filters, preconditions in
headers. httpbin (ISC or MIT) answers with what it was asked, and its description is careless: no operationIds,
undeclared path parameters, types that JSON Schema does not know, forms that it does not read.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from cluster.ports import free_port

READY_S = 30.0

_KINTO = """
[server:main]
use = egg:waitress
host = 127.0.0.1
port = %(port)d

[app:main]
use = egg:kinto
kinto.userid_hmac_secret = not-a-secret
kinto.storage_backend = kinto.core.storage.memory
kinto.cache_backend = kinto.core.cache.memory
kinto.permission_backend = kinto.core.permission.memory
kinto.bucket_create_principals = system.Everyone
kinto.bucket_write_principals = system.Everyone
multiauth.policies = basicauth

[loggers]
keys = root
[handlers]
keys =
[formatters]
keys =
[logger_root]
level = ERROR
handlers =
"""


@dataclass(frozen=True, slots=True)
class Service:
    """`base_url` is what an import takes, `document_url` where the service describes itself."""

    base_url: str
    document_url: str

    def document(self) -> str:
        return httpx.get(self.document_url).raise_for_status().text


@contextmanager
def kinto(folder: Path) -> Iterator[Service]:
    port = free_port("127.0.0.1")
    config = folder / "kinto.ini"
    config.write_text(_KINTO % {"port": port}, encoding="utf-8")
    base = f"http://127.0.0.1:{port}/v1"
    # The package's command, by its function: `python -m kinto` does nothing.
    command = [sys.executable, "-c", "from kinto.__main__ import main; main()", "start", "--ini", str(config)]
    with _running(command, f"{base}/__lbheartbeat__"):
        yield Service(base, f"{base}/__api__")


@contextmanager
def httpbin() -> Iterator[Service]:
    port = free_port("127.0.0.1")
    base = f"http://127.0.0.1:{port}"
    with _running([sys.executable, "-m", "httpbin.core", "--port", str(port)], f"{base}/uuid"):
        yield Service(base, f"{base}/spec.json")


@contextmanager
def _running(command: list[str], probe: str) -> Iterator[None]:
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        _wait_until_it_answers(process, probe)
        yield
    finally:
        process.terminate()
        try:
            process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _wait_until_it_answers(process: "subprocess.Popen[str]", url: str) -> None:
    deadline = time.monotonic() + READY_S
    while True:
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError as error:
            if process.poll() is not None:
                raise RuntimeError(f"{process.args} ended: {process.communicate()[1]}") from error
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)
