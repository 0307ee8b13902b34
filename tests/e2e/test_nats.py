"""Two shells behind NATs of their own, as most people are, with a phone book that both reach."""

import re
from pathlib import Path

from tests.e2e.namespaces import SERVER, Network, Program, two_homes


def climbed(program: Program, name: str) -> str:
    """What `why` says once a call has failed, on one line."""
    return " ".join(program.until(f"why {name}", r"(?s)account.*\soperator\. *$")[0].split())


def move_alice(network: Network) -> None:
    """Her provider gives her router another address."""
    network.ip("nat_a", "addr flush dev internet", "addr add 203.0.113.9/30 dev internet")
    network.ip("nat_a", "route add default via 203.0.113.10")
    network.ip("internet", "addr add 203.0.113.10/30 dev nat_a")


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
        alice.do("status", r"lines .* bob: 203\.0\.113\.6:\d+")
        long = "x" * 60_000  # many datagrams of full size, over a path of 1280 bytes
        alice.do(f"msg bob {long}", "Delivered to bob")
        bob.do("wait message", f"alice: {long[:40]}")

        # The provider gives alice's router another address: bob hears her from there.
        move_alice(network)
        # bob's router lets nothing in from there until bob has sent there: the phone book tells him to.
        alice.type("msg bob from a new address")
        bob.do("wait message --timeout 25", "alice: from a new address")
        bob.until("status", r"alice: 203\.0\.113\.9:\d+")
        bob.do("msg alice and back to it", "Delivered to alice")
        alice.do("wait message", "bob: and back to it")


def test_symmetric_nats_are_named_as_what_is_in_the_way(tmp_path: Path) -> None:
    with Network() as network:
        two_homes(network, ("symmetric", "symmetric"))
        network.phone_book("server", tmp_path / "server")
        network.shell("bob", SERVER, tmp_path / "bob")
        alice = network.shell("alice", SERVER, tmp_path / "alice")
        alice.do("msg bob hello", "Queued for bob")
        assert re.search(
            r"punched 203\.0\.113\.6:\d+: knocked \d times, no answer.* \(symmetric\).* What usually helps: ",
            climbed(alice, "bob"),
        )


def test_why_says_that_datagrams_get_lost_between_two_who_both_reach_the_phone_book(tmp_path: Path) -> None:
    with Network() as network:
        two_homes(network, ("restricted", "restricted"))
        network.wall("internet", "203.0.113.0/24")
        network.phone_book("server", tmp_path / "server")
        network.shell("bob", SERVER, tmp_path / "bob")
        alice = network.shell("alice", SERVER, tmp_path / "alice")
        alice.do("msg bob hello", "Queued for bob")
        ladder = climbed(alice, "bob")
        assert re.search(r"there yes online", ladder)
        assert re.search(r"your UDP yes the phone book sees you at 203\.0\.113\.2:\d+, through a NAT", ladder)
        assert re.search(r"way NO punched 203\.0\.113\.6:\d+: knocked \d times, no answer", ladder)
        assert re.search(r"line NO At the last try nothing of bob was heard, though bob is online", ladder)
        assert "or a firewall in between drops it. What bob reads at `why` tells which." in ladder


def test_why_says_on_the_side_on_which_udp_is_blocked_that_it_is_and_on_the_other_that_it_may_be(
    tmp_path: Path,
) -> None:
    with Network() as network:
        two_homes(network, ("restricted", "restricted"))
        network.block_udp("nat_a")
        network.phone_book("server", tmp_path / "server")
        bob = network.shell("bob", SERVER, tmp_path / "bob")
        alice = network.shell("alice", SERVER, tmp_path / "alice")
        alice.do("msg bob hello", "Queued for bob")
        ladder = climbed(alice, "bob")
        assert re.search(r"your UDP NO .*: something near you blocks UDP", ladder)
        assert re.search(r"line NO Nothing of yours gets out: your side is silent", ladder)
        bob.do("msg alice hello", "Queued for alice")
        ladder = climbed(bob, "alice")
        assert re.search(r"your UDP yes ", ladder)
        assert re.search(
            r"line NO At the last try nothing of alice was heard, though alice is online, .* it may be "
            r"blocked on the side of alice, .* What alice reads at `why` tells which\.",
            ladder,
        )


def test_where_the_operator_offers_a_relay_symmetric_nats_are_passed_and_both_users_know(
    tmp_path: Path,
) -> None:
    with Network() as network:
        two_homes(network, ("symmetric", "symmetric"))
        network.phone_book("server", tmp_path / "server", "relay = true\n")
        bob = network.shell("bob", SERVER, tmp_path / "bob")
        alice = network.shell("alice", SERVER, tmp_path / "alice")
        alice.type("msg bob hello")
        bob.do("wait request --timeout 20", "alice wants to talk to you")
        bob.do("accept alice", "alice may write to you now")
        bob.do("wait message", "alice: hello")
        alice.do(f"msg bob {'x' * 50_000}", "Delivered to bob")
        alice.do("status", "bob: relayed, still end-to-end encrypted")
        bob.do("status", "alice: relayed, still end-to-end encrypted")
        bob.do("wait message", f"alice: {'x' * 40}")

        # alice's router gets another address: the relay asks her where she is, long before she would say it.
        move_alice(network)
        alice.type("msg bob from a new address")
        bob.do("wait message --timeout 10", "alice: from a new address")
        bob.do("msg alice and back to it", "Delivered to alice")
        alice.do("wait message", "bob: and back to it")


def test_a_relayed_line_takes_the_direct_way_once_there_is_one(tmp_path: Path) -> None:
    with Network() as network:
        two_homes(network, ("restricted", "restricted"))
        network.wall("internet", "203.0.113.0/24")
        network.phone_book("server", tmp_path / "server", "relay = true\n")
        bob = network.shell("bob", SERVER, tmp_path / "bob")
        alice = network.shell("alice", SERVER, tmp_path / "alice")
        alice.type("msg bob hello")
        bob.do("wait request --timeout 20", "alice wants to talk to you")
        alice.do("whois bob", "line +relayed, still end-to-end encrypted")
        network.run("internet", "nft", "flush", "ruleset")
        alice.until("why bob", r"line +yes +open, punched, straight to 203\.0\.113\.6:\d+")
        bob.until("status", r"alice: 203\.0\.113\.2:\d+")


def test_ipv6_alone_and_a_new_address_in_mid_talk(tmp_path: Path) -> None:
    with Network() as network:
        network.spaces("alice", "server", "bob")
        network.forward("server")
        network.link("alice", "server", ("2001:db8:1::2/64", "2001:db8:1::1/64"), mtu=1280)
        network.link("bob", "server", ("2001:db8:2::2/64", "2001:db8:2::1/64"), mtu=1280)
        for host, number in (("alice", 1), ("bob", 2)):
            network.ip(host, f"route add default via 2001:db8:{number}::1")
        network.phone_book("server", tmp_path / "server")
        bob = network.shell("bob", "2001:db8:2::1", tmp_path / "bob")
        alice = network.shell("alice", "2001:db8:1::1", tmp_path / "alice")
        alice.do("msg bob one", "bob has to accept you first")
        bob.do("accept alice", "alice may write to you now")
        long = "x" * 60_000
        alice.do(f"msg bob {long}", "Delivered to bob")
        bob.do("wait message", "alice: one")
        bob.do("wait message", f"alice: {long[:40]}")
        alice.do("status", r"bob: \[2001:db8:2::2\]:\d+")

        # As from the radio to the cable: another address of the same machine, and the old one is gone.
        network.ip(
            "alice", "addr add 2001:db8:1::22/64 dev server nodad", "addr del 2001:db8:1::2/64 dev server"
        )
        network.ip("alice", "route replace default via 2001:db8:1::1")
        alice.do("msg bob from a new address", "Delivered to bob")
        bob.do("wait message", "alice: from a new address")
        bob.until("status", r"alice: \[2001:db8:1::22\]:\d+")
        bob.do("msg alice and back to it", "Delivered to alice")
        alice.do("wait message", "bob: and back to it")
        # The session with the phone book has come along.
        alice.until("list", "bob .*online")
