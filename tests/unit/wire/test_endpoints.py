"""Addresses that others publish are shown on screens and called: they are addresses and nothing else."""

import ipaddress
import re

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wire.messages import Endpoint

HOSTS = st.one_of(
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map(lambda address: address.exploded),
    st.text(max_size=45),
    st.text(max_size=30).map(lambda zone: f"fe80::1%{zone}"),
)


@given(HOSTS)
@example("fe80::1%\x1b[2J")
@example("::ffff:127.0.0.1")
def test_what_is_taken_for_an_address_is_one(host: str) -> None:
    encoded = msgspec.json.encode({"host": host, "port": 1})
    try:
        endpoint = msgspec.json.decode(encoded, type=Endpoint)
    except msgspec.ValidationError:
        return
    assert re.fullmatch(r"[0-9A-Fa-f:.]+", endpoint.host)
    ipaddress.ip_address(endpoint.host)


@pytest.mark.parametrize(
    "host",
    [
        "fe80::1%eth0",
        "fe80::1%\x1b[2J",
        "224.0.0.1",
        "0.0.0.0",
        "localhost",
        "",
        "255.255.255.255",
        "::ffff:0.0.0.0",
        "::ffff:127.0.0.1",
        "::ffff:224.0.0.251",
    ],
)
def test_what_is_no_address_of_one_machine_is_refused(host: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"host": host, "port": 1}, Endpoint)
