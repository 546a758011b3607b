"""A DNS server that changes its mind, and the guarded client asking it through the C library's resolver.

Runs in a network and mount namespace of its own: port 53 and /etc/resolv.conf are this program's alone. Prints JSON:
what the names were asked, what came of each request, and which addresses the service was reached on.
"""

import asyncio
import json
import socket
import struct
import sys
from collections import Counter
from pathlib import Path
from typing import cast

import httpx

from models.policies import EgressPolicy
from planvault.errors import EgressDenied
from planvault.net.client import GuardedHttp

# Answers by turn; the last stays. TTL 0: nobody may remember one.
ANSWERS = {
    "steady.test": [["203.0.114.10"]],
    "rebinding.test": [["203.0.114.10"], ["127.0.0.1"]],
    "metadata.test": [["169.254.169.254"]],
    "mixed.test": [["203.0.114.10", "10.0.0.1"]],
    "mapped.test": [["::ffff:127.0.0.1"]],
    "inside.test": [["127.0.0.1"]],
}
PUBLIC = "203.0.114.10"


class Names(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode())
            at += 1 + data[at]
        kind = struct.unpack("!H", data[at + 1 : at + 3])[0]
        name = ".".join(labels).lower()
        family = socket.AF_INET if kind == 1 else socket.AF_INET6
        turns = ANSWERS.get(name, [[]])
        found = [text for text in turns[min(self.asked[name], len(turns) - 1)] if (":" in text) == (kind == 28)]
        if kind == 1:
            self.asked[name] += 1
        records = b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, 4 if kind == 1 else 16) + socket.inet_pton(family, text)
            for text in found
        )
        flags = 0x8180 if name in ANSWERS else 0x8183
        head = data[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0)
        self._transport.sendto(head + data[12 : at + 5] + records, addr)


async def serve(host: str, reached: list[str]) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        reached.append(host)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    await asyncio.start_server(answer, host, 80)


async def main() -> None:
    names, reached = Names(), list[str]()
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: names, local_addr=("127.0.0.1", 53))
    for host in (PUBLIC, "127.0.0.1"):
        await serve(host, reached)
    client, outcomes = GuardedHttp(), []
    for name in sys.argv[1:]:
        try:
            async with client.stream("GET", f"http://{name}/", policy=EgressPolicy(), timeout=10) as answer:
                outcomes.append([name, answer.status_code])
        except (EgressDenied, httpx.HTTPError) as refused:
            outcomes.append([name, type(refused).__name__])
    await client.aclose()
    sys.stdout.write(json.dumps({"asked": names.asked, "outcomes": outcomes, "reached": reached}))


if __name__ == "__main__":
    Path("/etc/resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n", encoding="ascii")
    asyncio.run(main())
