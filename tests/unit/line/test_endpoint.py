"""What the endpoint does before any line: whom it would send to at all."""

from shell.line.candidates import PathKind
from shell.line.channel import Channel
from shell.line.endpoint import UdpEndpoint
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
