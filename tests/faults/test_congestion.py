"""What a slow network does not take costs no memory without bound."""

import json
import sys

from server.udp import MAX_QUEUED
from tests.e2e.namespaces import Network
from tests.faults.congesting import FLOOD, HERE


def test_what_the_network_does_not_take_is_dropped_and_counted() -> None:
    with Network() as network:
        network.spaces("book")
        network.ip("book", "link add out type veth peer name end", f"addr add {HERE}/24 dev out")
        network.ip("book", "link set out up", "link set end up")
        found = json.loads(network.run("book", sys.executable, "-m", "tests.faults.congesting"))
    assert MAX_QUEUED / 2 < found["queued"] < 2 * MAX_QUEUED
    assert found["dropped"] > FLOOD / 2
    assert found["dropped"] + found["told"] == FLOOD
    assert found["told later"] == 1
