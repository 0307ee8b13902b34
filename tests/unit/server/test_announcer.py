"""A phone book that was told a host name to listen on is announced by the address behind it."""

from pathlib import Path

from server.announcer import Announcer
from server.embedded import EmbeddedPhoneBook
from server.settings import ServerSettings
from shell.discovery import find_phone_books
from shell.host import CHEAP_HASH


def test_a_host_name_is_announced_as_its_address(tmp_path: Path) -> None:
    settings = ServerSettings(listen="localhost:0", data=str(tmp_path), **CHEAP_HASH)  # type: ignore[arg-type]
    with EmbeddedPhoneBook(settings) as book, Announcer(book) as announcer:
        assert announcer.announced(10.0)
        host, port = book.address
        if ":" not in host:  # a machine may call ::1 localhost; multicast DNS looks there by interface
            addresses = [address for found in find_phone_books(host) for address in found.addresses]
            assert f"{host}:{port}" in addresses
