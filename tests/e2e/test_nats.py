"""Two shells behind NATs of their own, as most people are, with a phone book that both reach."""

from pathlib import Path

from tests.e2e.namespaces import SERVER, Network, two_homes


def test_two_home_routers_are_opened_and_a_new_address_in_mid_talk_loses_nothing(tmp_path: Path) -> None:
    with Network() as network:
        two_homes(network, ("restricted", "restricted"), mtu=1280)
        network.phone_book("server", tmp_path / "server")
        bob = network.shell("bob", SERVER, tmp_path / "bob")
        alice = network.shell("alice", SERVER, tmp_path / "alice")
        alice.do("msg bob one", "bob has to accept you first")
        bob.do("wait request", "alice wants to talk to you")
        bob.do("accept alice", "alice may write to you now")
        bob.do("wait message", "alice: one")
        alice.do("status", r"lines .* bob at 203\.0\.113\.6:\d+")
        long = "x" * 60_000  # many datagrams of full size, over a path of 1280 bytes
        alice.do(f"msg bob {long}", "Delivered to bob")
        bob.do("wait message", f"alice: {long[:40]}")

        # The provider gives alice's router another address: bob hears her from there.
        network.ip("nat_a", "addr flush dev internet", "addr add 203.0.113.9/30 dev internet")
        network.ip("nat_a", "route add default via 203.0.113.10")
        network.ip("internet", "addr add 203.0.113.10/30 dev nat_a")
        # bob's router lets nothing in from there until bob has sent there: the phone book tells him to.
        alice.type("msg bob from a new address")
        bob.do("wait message --timeout 25", "alice: from a new address")
        bob.do("status", r"lines .* alice at 203\.0\.113\.9:\d+")
        bob.do("msg alice and back to it", "Delivered to alice")
        alice.do("wait message", "bob: and back to it")
