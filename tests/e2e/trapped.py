"""The whole product on a machine whose every way out is a trap: `python -m tests.e2e.trapped`.

Runs in network and mount namespaces of its own. The default route leads into a TUN device that notes every packet, of
native code as well; the only name server notes every question and answers each with an outside address, so that whoever
asks goes on and is caught connecting. Prints JSON: names, packets by destination, and how each command ended.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_OUTSIDE = "198.18.0.80"  # what every name is said to be
_UP_S = 240
CONTROL_NAME, CONTROL_ADDRESS = "control.invalid", "203.0.113.7"


class Trap:
    def __init__(self) -> None:
        self.names: Counter[str] = Counter()
        self.packets: Counter[str] = Counter()

    def close_every_way_out(self) -> None:
        device = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(device, _TUNSETIFF, struct.pack("16sH22s", b"trap0", _IFF_TUN | _IFF_NO_PI, b""))
        for arguments in (
            "link set lo up",
            "addr add 192.0.2.2/24 dev trap0",
            "-6 addr add 2001:db8::2/64 dev trap0 nodad",
            "link set trap0 up",
            "route add default dev trap0",
            "-6 route add default dev trap0",
        ):
            subprocess.run(["ip", *arguments.split()], check=True, capture_output=True)
        Path("/etc/resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", encoding="ascii")
        names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        names.bind(("127.0.0.1", 53))
        threading.Thread(target=self._note_packets, args=(device,), daemon=True).start()
        threading.Thread(target=self._answer, args=(names,), daemon=True).start()

    def _note_packets(self, device: int) -> None:
        while packet := os.read(device, 65_536):
            six = packet[0] >> 4 == 6
            address = socket.inet_ntop(socket.AF_INET6, packet[24:40]) if six else socket.inet_ntoa(packet[16:20])
            if not address.startswith("ff"):  # the kernel's own neighbour talk
                header = 40 if six else (packet[0] & 15) * 4
                self.packets[f"{address} port {int.from_bytes(packet[header + 2 : header + 4], 'big')}"] += 1

    def _answer(self, names: socket.socket) -> None:
        while True:
            data, asker = names.recvfrom(4_096)
            labels, at = [], 12
            while data[at]:
                labels.append(data[at + 1 : at + 1 + data[at]].decode("ascii", "replace"))
                at += 1 + data[at]
            self.names[".".join(labels)] += 1
            is_v4 = data[at + 1 : at + 3] == b"\0\x01"
            record = b"\xc0\x0c\0\x01\0\x01\0\0\0\0\0\x04" + socket.inet_aton(_OUTSIDE) if is_v4 else b""
            head = data[:2] + struct.pack("!HHHHH", 0x8180, 1, int(is_v4), 0, 0)
            names.sendto(head + data[12 : at + 5] + record, asker)

    def try_it(self) -> None:
        """Whoever looks for what the trap caught must find this."""
        socket.getaddrinfo(CONTROL_NAME, 443)
        with socket.socket() as outside:
            outside.setblocking(False)
            outside.connect_ex((CONTROL_ADDRESS, 443))


def main() -> None:
    trap = Trap()
    trap.close_every_way_out()
    trap.try_it()
    ended: dict[str, tuple[int, str]] = {}
    for command in (["-m", "planvault.cli", "doctor"], ["-m", "planvault.cli", "demo"], ["-c", _MODEL]):
        ran = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, timeout=_UP_S, stdin=subprocess.DEVNULL
        )
        ended[command[-1] if command[0] == "-m" else "model"] = (ran.returncode, (ran.stdout + ran.stderr)[-3_000:])
    sys.stdout.write(json.dumps({"names": trap.names, "packets": trap.packets, "ended": ended}))


# A plan by LiteLLM from a model server on this machine, in the environment that the platform gives to its processes.
_MODEL = """
import asyncio, os
from cluster.environment import QUIET
os.environ.update(QUIET)
from planvault.llm.choice import ModelChoice
from planvault.llm.gateway import Gateway
from planvault.llm.scripted import ScriptedServer
from planvault.ports import LlmMessage, LlmRequest
with ScriptedServer(["hello"]) as server:
    gateway = Gateway(ModelChoice("some-model", server.base_url, "sk-none"), timeout_s=30)
    answer = asyncio.run(gateway.complete(LlmRequest((LlmMessage("user", "Hello?"),))))
assert answer.text == "hello"
"""


if __name__ == "__main__":
    main()
