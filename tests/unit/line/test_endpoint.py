"""What the endpoint does before any line: whom it would send to at all."""

import asyncio
import socket

import pytest

from server.embedded import new_event_loop
from shell.line.candidates import PathKind
from shell.line.channel import Channel
from shell.line.endpoint import UdpEndpoint
from shell.line.udp import UdpSocket
from wire.certificates import make_identity
from wire.messages import Endpoint


class Nobody:
    def changed(self, channel: Channel, kind: PathKind) -> None:
        pass

    def silent(self, endpoint: UdpEndpoint, channel: Channel) -> None:
        pass


def endpoint(phone_book: str) -> UdpEndpoint:
    made = UdpEndpoint(make_identity("alice"), lambda channel, event: None, Nobody())
    made.relays.server = (phone_book, 6969)
    return made


def test_nobody_can_have_datagrams_sent_to_services_of_this_machine() -> None:
    published = [Endpoint("127.0.0.1", 53), Endpoint("::1", 53)]
    assert endpoint("198.51.100.2").attempt(published).empty
    assert not endpoint("198.51.100.2").attempt([*published, Endpoint("192.0.2.7", 53)]).empty


def test_on_one_machine_loopback_is_the_way() -> None:
    assert not endpoint("::ffff:127.0.0.1").attempt([Endpoint("127.0.0.1", 53)]).empty


def test_a_machine_without_ipv6_goes_on_where_somebody_publishes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def ipv4_alone(port: int) -> socket.socket:
        bound = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        bound.setblocking(False)
        bound.bind(("127.0.0.1", port))
        return bound

    monkeypatch.setattr("shell.line.udp.udp_socket", ipv4_alone)

    async def work() -> None:
        heard = asyncio.Event()
        here = UdpSocket(lambda datagram, address: heard.set())
        await here.start(0)
        here.send(b"lost", here.native(Endpoint("2001:db8::1", 5000)))
        here.send(b"heard", here.native(Endpoint("127.0.0.1", here.port)))
        async with asyncio.timeout(10):
            await heard.wait()
        here.stop()

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(work())
