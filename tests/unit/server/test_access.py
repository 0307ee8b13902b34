"""Who may come in: every ban against the plain meaning of its words."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.access import Access, Ban, Registration, Target, plain_address, target_of
from wire.errors import Banned, ErrorCode, Refused
from wire.names import name_key

NOW = 1_000.0
V4 = st.ip_addresses(v=4)
V6 = st.ip_addresses(v=6)


def networks(
    addresses: st.SearchStrategy[ipaddress.IPv4Address | ipaddress.IPv6Address],
) -> st.SearchStrategy[str]:
    """Networks around addresses, so that some hit."""
    return addresses.flatmap(
        lambda ip: st.integers(0, ip.max_prefixlen).map(
            lambda length: str(ipaddress.ip_network(f"{ip}/{length}", strict=False))
        )
    )


@given(st.lists(networks(st.one_of(V4, V6)), max_size=8), st.one_of(V4, V6))
def test_an_address_is_banned_exactly_if_it_is_in_a_banned_network(
    banned: list[str], ip: ipaddress.IPv4Address | ipaddress.IPv6Address
) -> None:
    access = Access([Ban(target_of(network)) for network in banned], Registration.OPEN)
    within = any(plain_address(str(ip)) in ipaddress.ip_network(target_of(one).network) for one in banned)
    assert (access.address_ban(str(ip), NOW) is not None) is within
    for network in banned:
        access.unban(target_of(network))
    assert access.address_ban(str(ip), NOW) is None
    assert access.bans(NOW) == []


@given(V4, st.integers(1, 32))
def test_an_ipv4_address_is_the_same_wrapped_in_ipv6(ip: ipaddress.IPv4Address, length: int) -> None:
    for network, address in ((f"{ip}/{length}", f"::ffff:{ip}"), (f"::ffff:{ip}/{96 + length}", str(ip))):
        access = Access([Ban(target_of(network))], Registration.OPEN)
        assert access.address_ban(address, NOW) is not None


def test_a_ban_by_name_hits_every_way_to_write_it_and_ends_in_time() -> None:
    access = Access([Ban(target_of("Bob"), "spam", until=NOW + 60)], Registration.OPEN)
    with pytest.raises(Banned, match=r"until 1970-01-01 00:17 UTC: spam") as caught:
        access.check("192.0.2.7", NOW, name_key("BOB"))
    assert (caught.value.reason, caught.value.until) == ("spam", NOW + 60)
    access.check("192.0.2.7", NOW, name_key("alice"))
    access.check("192.0.2.7", NOW + 60, name_key("bob"))
    assert access.bans(NOW + 60) == []
    assert access.forget_expired(NOW) == []
    assert access.of(target_of("BOB"), NOW) is not None
    assert access.forget_expired(NOW + 60) == [Target(name="Bob")]
    assert access.of(target_of("BOB"), NOW) is None


def test_a_later_ban_of_the_same_target_takes_the_place_of_the_first() -> None:
    access = Access(
        [Ban(target_of("192.0.2.9/24"), "one"), Ban(target_of("192.0.2.0/24"), "two")], Registration.OPEN
    )
    assert [ban.reason for ban in access.bans(NOW)] == ["two"]


@pytest.mark.parametrize(
    ("typed", "is_name", "target"),
    [
        ("192.0.2.7", False, Target(network="192.0.2.7/32")),
        ("192.0.2.7", True, Target(name="192.0.2.7")),
        ("192.0.2.7/24", False, Target(network="192.0.2.0/24")),
        ("2001:db8::1", False, Target(network="2001:db8::1/128")),
        ("2001:DB8::/32", False, Target(network="2001:db8::/32")),
        ("bob", False, Target(name="bob")),
        ("10.1", False, Target(name="10.1")),
    ],
)
def test_what_is_typed_is_an_address_where_it_can_be_one(typed: str, is_name: bool, target: Target) -> None:
    assert target_of(typed, is_name=is_name) == target


@pytest.mark.parametrize("typed", ["192.0.2.0/33", "192.0.2/24", "fe80::zz", "bob/24", "::1/129"])
def test_what_only_looks_like_an_address_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="no address and no network"):
        target_of(typed)


def test_a_banned_refusal_says_the_same_after_the_wire() -> None:
    told = Ban(target_of("192.0.2.7"), "flood", until=5.0).refusal()
    heard = Refused.from_object(told.to_object())
    assert isinstance(heard, Banned)
    assert (str(heard), heard.reason, heard.until, heard.slug) == (str(told), "flood", 5.0, "banned")


def test_registration_says_what_is_missing() -> None:
    access = Access([], Registration.CLOSED)
    with pytest.raises(Refused, match="no sign-ups"):
        access.check_registration("a code does not help")
    access.registration = Registration.INVITE
    with pytest.raises(Refused) as caught:
        access.check_registration("")
    assert caught.value.code == ErrorCode.INVITE_NEEDED
    access.check_registration("a code")
