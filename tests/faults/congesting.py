"""A phone book's UDP port on a network that takes nothing for a while. Prints what came of it as JSON.

`python -m tests.faults.congesting`, in a network namespace with a cable `out` to nobody. What is sent to an
address that no machine answers for waits in the kernel until one does, and fills the socket.
"""

import asyncio
import json
import socket
import subprocess
from typing import cast

import uvloop

from server.listener import listening_pair
from server.settings import ServerSettings
from server.udp import DROPPED, TOLD, UdpPort
from tests.e2e.world import PATIENCE
from wire.limits import KIB
from wire.stun import TRANSACTION_BYTES, encode_request

HERE, NOBODY = "192.0.2.1", ("192.0.2.99", 9)
FLOOD = 100_000  # requests, the answers to which are several times what may wait
SOCKET = 64 * KIB  # bytes that the kernel takes; it holds three times as many for an address, then drops some


class _Port(UdpPort):
    """Says when it goes on."""

    def __init__(self, counts: dict[str, int]) -> None:
        super().__init__(ServerSettings(), counts)
        self.resumed = asyncio.Event()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.resumed.set()


async def _congest() -> dict[str, int]:
    counts: dict[str, int] = {}
    listening, datagrams = listening_pair(HERE, 0)
    listening.close()
    datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET)
    loop = asyncio.get_running_loop()
    transport, port = await loop.create_datagram_endpoint(lambda: _Port(counts), sock=datagrams)
    request = encode_request(bytes(TRANSACTION_BYTES))
    for _ in range(FLOOD):
        port.datagram_received(request, NOBODY)
    queued = cast(asyncio.WriteTransport, transport).get_write_buffer_size()
    found = {"queued": queued, "dropped": counts[DROPPED], "told": counts[TOLD]}
    appear = f"ip neigh replace {NOBODY[0]} lladdr 02:00:00:00:00:02 dev out nud permanent"
    await asyncio.to_thread(subprocess.run, appear.split(), check=True)
    async with asyncio.timeout(PATIENCE):
        await port.resumed.wait()
    port.datagram_received(request, NOBODY)
    found["told later"] = counts[TOLD] - found["told"]
    transport.abort()
    return found


if __name__ == "__main__":
    print(json.dumps(uvloop.run(_congest())))
