"""Finding phone books: which address of one to try, and what cannot be asked."""

import socket
from pathlib import Path

import pytest

from shell.datafolder import DataFolder, Joined
from shell.discovery import FoundPhoneBook, find_phone_books, reachable
from shell.errors import DiscoveryFailed


def test_the_first_address_that_answers_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, so that nobody else takes the port, and not listening
        open_address, closed_address = (
            f"127.0.0.1:{bound.getsockname()[1]}" for bound in (listening, closed)
        )
        assert reachable(FoundPhoneBook("lab", (closed_address, open_address))) == open_address
        assert reachable(FoundPhoneBook("lab", (closed_address,))) == closed_address


def test_nothing_is_asked_where_looking_is_off() -> None:
    with pytest.raises(DiscoveryFailed, match="not to look for phone books"):
        find_phone_books("off")


@pytest.mark.parametrize("where", ["everywhere", "", "192.0.2.255.1"])
def test_a_place_that_is_none_is_named(where: str) -> None:
    with pytest.raises(DiscoveryFailed, match="neither 'all', 'off' nor an IP address"):
        find_phone_books(where)


def test_what_was_joined_is_remembered_and_a_damaged_file_is_no_obstacle(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "alice")
    assert folder.joined() is None
    folder.join(Joined("192.0.2.7:6969", "alice"))
    assert folder.joined() == Joined("192.0.2.7:6969", "alice")
    (tmp_path / "alice" / "joined.toml").write_text("server = [")
    assert folder.joined() is None
