"""Finds the phone books that are announced on the local network: DNS-SD (RFC 6763) over multicast DNS."""

import contextlib
import ipaddress
import socket
import threading
from time import monotonic
from typing import TYPE_CHECKING

import msgspec

from shell.errors import DiscoveryFailed
from wire import SERVICE_TYPE

if TYPE_CHECKING:
    from zeroconf import ServiceInfo, ServiceStateChange, Zeroconf

ALL, OFF = "all", "off"
PATIENCE = 2.5  # seconds to look; answers on one cable come within 0.2 s (RFC 6762 §5.2 asks again after 1 s)
LULL = 0.6  # seconds without another answer after which nobody else is expected
RESOLVE_PATIENCE = 1.0  # seconds for an announced phone book to tell its address
CONNECT_PATIENCE = 1.0  # seconds to try one of several addresses
MAX_FOUND = 50  # phone books that one look takes in; more is not a network but a flood


class FoundPhoneBook(msgspec.Struct, frozen=True):
    """A phone book that announces itself."""

    name: str
    """As it calls itself."""
    addresses: tuple[str, ...]
    """Each `host:port`, the likeliest first."""


class _Found:
    """Gathers what the network says; `heard` is called on a thread of the library."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._books: dict[str, FoundPhoneBook] = {}
        self._heard = 0.0

    def heard(
        self, zeroconf: "Zeroconf", service_type: str, name: str, state_change: "ServiceStateChange"
    ) -> None:
        """One is there, says something else, or has left."""
        from zeroconf import ServiceStateChange

        book = None
        if state_change is not ServiceStateChange.Removed:
            info = zeroconf.get_service_info(service_type, name, int(RESOLVE_PATIENCE * 1000))
            book = _book(name, info) if info is not None else None
        with self._changed:
            if book is None:
                self._books.pop(name, None)
            elif len(self._books) < MAX_FOUND:
                self._books[name] = book
            self._heard = monotonic()
            self._changed.notify_all()

    def wait(self) -> list[FoundPhoneBook]:
        """What was found, by name."""
        end = monotonic() + PATIENCE
        with self._changed:
            while (left := end - monotonic()) > 0:
                if self._books and monotonic() - self._heard >= LULL:
                    break
                self._changed.wait(min(left, LULL / 3))
            return sorted(self._books.values(), key=lambda book: (book.name, book.addresses))


def find_phone_books(where: str = ALL) -> list[FoundPhoneBook]:
    """Looks around: on all interfaces, on the one with the IP address `where`, or nowhere.

    Takes `PATIENCE` seconds at most. Raises `DiscoveryFailed`.
    """
    if where == OFF:
        raise DiscoveryFailed('Your settings say not to look for phone books (discover = "off").')
    from zeroconf import Error, ServiceBrowser, Zeroconf

    try:
        network = Zeroconf() if where == ALL else Zeroconf(interfaces=[str(ipaddress.ip_address(where))])
    except ValueError:
        raise DiscoveryFailed(f"discover = {where!r} is neither 'all', 'off' nor an IP address.") from None
    except (OSError, RuntimeError, Error) as error:
        raise DiscoveryFailed(f"The local network cannot be asked for phone books: {error}.") from None
    found = _Found()
    try:
        browser = ServiceBrowser(network, SERVICE_TYPE, handlers=[found.heard])
        books = found.wait()
        browser.cancel()
        return books
    finally:
        network.close()


def reachable(book: FoundPhoneBook) -> str:
    """The first of its addresses that takes a connection; the likeliest where none does."""
    for address in book.addresses if len(book.addresses) > 1 else ():
        host, _, port = address.rpartition(":")
        with (
            contextlib.suppress(OSError),
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_PATIENCE),
        ):
            return address
    return book.addresses[0]


def show_address(host: str, port: int) -> str:
    """`host:port`, an IPv6 address in brackets (RFC 3986 §3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _book(name: str, info: "ServiceInfo") -> FoundPhoneBook | None:
    hosts = _likeliest(info.parsed_scoped_addresses())
    if not info.port or not hosts:
        return None
    addresses = tuple(show_address(host, info.port) for host in hosts)
    return FoundPhoneBook(name.removesuffix(f".{SERVICE_TYPE}"), addresses)


def _likeliest(hosts: list[str]) -> list[str]:
    """IPv4 before IPv6, and none that means something else on every link."""
    addresses = {host: ipaddress.ip_address(host.partition("%")[0]) for host in hosts}
    usable = [host for host, address in addresses.items() if not address.is_link_local]
    return sorted(usable, key=lambda host: addresses[host].version)
