"""Nothing phones home (features E11): whatever the platform does, its processes talk to this machine only."""

import ipaddress
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from cluster import state
from cluster.data_dir import existing
from planvault.cli.client import ApiClient
from tests.e2e.conftest import Platform
from tests.e2e.trapped import CONTROL_ADDRESS, CONTROL_NAME

pytestmark = pytest.mark.e2e


def outside(platform: Platform) -> set[str]:
    """Addresses beyond this machine that a process of the platform is connected, or connecting, to."""
    found = state.read(existing(platform.data_dir))
    assert found is not None
    assert found.ray is not None
    addresses = set()
    for process in found.ray.members():
        try:
            connections = process.net_connections(kind="inet")
        except psutil.NoSuchProcess:
            continue
        addresses |= {connection.raddr[0] for connection in connections if len(connection.raddr) == 2}
    return {address for address in addresses if not _is_local(address)}


def _is_local(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback


def test_no_process_reaches_beyond_this_machine_while_a_prompt_runs(platform: Platform, api: ApiClient) -> None:
    seen: set[str] = set()
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            seen.update(outside(platform))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        session = str(api.create_session({})["id"])
        api.send_message(session, "Say hello in one short sentence.")
        kinds = [event.type for event in api.follow(session)]
    finally:
        done.set()
        watcher.join()
    assert kinds[-1] == "done"
    assert seen == set()


def test_what_libraries_would_send_is_switched_off(platform: Platform) -> None:
    found = state.read(existing(platform.data_dir))
    assert found is not None
    assert found.ray is not None
    wanted = {"RAY_USAGE_STATS_ENABLED": "0", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "HF_HUB_OFFLINE": "1"}
    # The raylet starts every worker with its own environment; workers' own cannot be read, their titles lie over it.
    raylets = [process for process in found.ray.members() if process.name() == "raylet"]
    assert len(raylets) == 1
    environment = raylets[0].environ()
    assert {name: environment.get(name) for name in wanted} == wanted


@pytest.mark.faults  # a whole bring-up and demo of its own: three minutes on a busy machine
@pytest.mark.timeout(400)
def test_the_product_works_with_every_way_out_trapped_and_nothing_goes_into_the_trap(tmp_path: Path) -> None:
    """It comes up, imports, selects, plans and runs; no process, native or not, asks for a name or sends a packet."""
    # As root the embedded database runs as another user, whom a user namespace would not know.
    user = () if os.geteuid() == 0 else ("--user", "--map-current-user", "--keep-caps")
    setup = 'touch "$0" && mount --bind "$0" /etc/resolv.conf && exec "$@"'
    alone = ("unshare", *user, "--mount", "--net", "sh", "-c", setup, str(tmp_path / "resolv.conf"))
    ran = subprocess.run(
        [*alone, sys.executable, "-m", "tests.e2e.trapped"],
        capture_output=True,
        text=True,
        timeout=390,
    )
    if ran.returncode != 0 and any(sign in ran.stderr for sign in ("unshare:", "mount:", "/dev/net/tun")):
        pytest.skip(f"no namespaces on this machine: {ran.stderr.strip()[-200:]}")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert {name: code for name, (code, _) in found["ended"].items() if code} == {}, found["ended"]
    assert "model" in found["ended"]
    # The trap's own attempts are in it: what would try is caught.
    assert found["names"].pop(CONTROL_NAME) >= 1
    assert found["packets"].pop(f"{CONTROL_ADDRESS} port 443") >= 1
    assert found["names"] == {}
    assert found["packets"] == {}
