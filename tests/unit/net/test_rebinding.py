"""DNS rebinding with a real name server, asked through the system's own resolver."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
# Its own loopback with a public address on it, its own resolv.conf: a folder that is mounted over /etc would hide all.
_SETUP = (
    "ip link set lo up && ip addr add 203.0.114.10/32 dev lo && touch $0 && mount --bind $0 /etc/resolv.conf"
    ' && exec "$@"'
)
UNSHARE = ("unshare", "--map-root-user", "--mount", "--net", "sh", "-c")


def asking(folder: Path, *names: str) -> dict[str, Any]:
    command = [*UNSHARE, _SETUP, str(folder / "resolv.conf"), sys.executable, "-m", "tests.unit.net.rebinding", *names]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=ROOT)
    if ran.returncode != 0 and ("unshare" in ran.stderr or "mount" in ran.stderr or "RTNETLINK" in ran.stderr):
        pytest.skip(f"no namespaces on this machine: {ran.stderr.strip()}")
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def test_one_look_up_a_connection_and_every_answer_is_judged(tmp_path: Path) -> None:
    names = ("steady.test", "rebinding.test", "rebinding.test", "metadata.test", "mixed.test", "mapped.test",
             "inside.test", "unknown.test")  # fmt: skip
    found = asking(tmp_path, *names)
    assert found["outcomes"] == [
        ["steady.test", 200],
        ["rebinding.test", 200],  # judged and connected by the one answer
        ["rebinding.test", "EgressDenied"],  # asked again for another connection: it has changed its mind
        ["metadata.test", "EgressDenied"],
        ["mixed.test", "EgressDenied"],
        ["mapped.test", "EgressDenied"],
        ["inside.test", "EgressDenied"],
        ["unknown.test", "ConnectError"],
    ]
    assert found["reached"] == ["203.0.114.10", "203.0.114.10"]
    assert found["asked"]["steady.test"] == 1
    assert found["asked"]["rebinding.test"] == 2  # one look-up for each of two connections
