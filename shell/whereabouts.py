"""Where this shell can be reached: gathered, published, and looked at again when this machine moves."""

import asyncio
import contextlib
import logging
import socket

from shell.errors import NotConnected, NotLoggedIn, SettingsError, UdpPortTaken
from shell.line.addresses import interfaces, local_endpoints, plain_host
from shell.line.candidates import Address
from shell.line.line import Line
from shell.phonebook import PhoneBook, split_address
from wire.errors import Refused
from wire.messages import Endpoint

log = logging.getLogger(__name__)

OUTSIDE_PATIENCE = 0.25  # seconds that a login or a call waits for the outside address; it may follow
LOOK = 2.0  # seconds between looks at this machine's addresses
STUN_PORT = 3478  # RFC 8489 §8.1


class Whereabouts:
    """Lives on the event loop's thread while somebody is logged in."""

    def __init__(self, book: PhoneBook, line: Line, stun: str = "") -> None:
        """`stun` names one more STUN server, HOST or HOST:PORT."""
        self._book = book
        self._line = line
        self._stun = stun
        self._servers: tuple[Address, ...] = ()
        self._published: tuple[Endpoint, ...] = ()
        self._refreshing: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None

    @property
    def outside(self) -> Endpoint | None:
        """What a STUN server sees of this shell, the phone book first; None where none answers."""
        seen = self._line.network.endpoint.outside.seen
        return next((found for server in self._servers if (found := seen.get(server)) is not None), None)

    async def first(self) -> tuple[Endpoint, ...]:
        """The endpoints with which a session begins; an outside address that comes later is published."""
        await self._find_servers()
        await self.refresh()
        self._published = self._endpoints()
        return self._published

    @property
    def watching(self) -> bool:
        """Whether it looks if this machine moves."""
        return self._watching is not None

    def watch(self) -> None:
        """From now on looks whether this machine moves."""
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch(), name="whereabouts")

    def stop(self) -> None:
        """Looks no more."""
        for task in (self._watching, self._refreshing):
            if task is not None:
                task.cancel()

    async def refresh(self) -> None:
        """Asks for the outside address where the last answer is old; waits `OUTSIDE_PATIENCE` at most."""
        outside = self._line.network.endpoint.outside
        if not self._servers or all(
            self._at_home(server) or outside.fresh(server) for server in self._servers
        ):
            return
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self._ask(), name="outside-address")
        silent = all(outside.seen.get(server, self) is None for server in self._servers)
        if not silent:  # whoever was asked in vain before is not waited for
            await asyncio.wait((self._refreshing,), timeout=OUTSIDE_PATIENCE)

    async def publish(self, *, again: bool = False) -> None:
        """Tells the phone book, where there is something new; or `again`, where it may have forgotten."""
        endpoints = self._endpoints()
        if endpoints != self._published or again:
            await self._book.publish(endpoints)
            self._published = endpoints

    # --- inside -----------------------------------------------------------------------------------------

    def _at_home(self, server: Address) -> bool:
        """Whether a server sees this machine's own address, so that no NAT can forget anything."""
        seen = self._line.network.endpoint.outside.seen.get(server)
        return (
            seen is not None
            and seen.host in self._line.network.endpoint.interfaces.hosts
            and seen.port == self._line.port
        )

    def _endpoints(self) -> tuple[Endpoint, ...]:
        seen = self._line.network.endpoint.outside.seen.values()
        return local_endpoints(
            self._line.network.endpoint.interfaces,
            self._line.port,
            self._book.local_host,
            self._book.observed_host,
            [endpoint for endpoint in seen if endpoint is not None],
        )

    async def _find_servers(self) -> None:
        """The phone book's UDP port by the address in use, and a STUN server of the user's own."""
        found = [Endpoint(plain_host(self._book.remote[0]), self._book.remote[1])]
        if self._stun:
            found += await _resolved(self._stun)
        native = self._line.network.endpoint.socket.native
        self._servers = tuple(native(endpoint) for endpoint in found)
        self._line.network.endpoint.relays.server = self._servers[0]

    async def _ask(self) -> None:
        outside = self._line.network.endpoint.outside
        book = self._servers[0]
        before, doubted, outside.doubted = outside.seen.get(book), outside.doubted, False
        await asyncio.gather(*(outside.ask(server) for server in self._servers))
        now = outside.seen.get(book)
        if doubted and before is not None and now is not None and before.host != now.host:
            # The TCP connection of the old address hangs, which nothing else would tell for half a minute.
            # Without a doubt it does not: some NATs give every question another of many addresses.
            self._book.reconnect("This network's outside address changed.")
        elif self._published:
            with contextlib.suppress(NotConnected, Refused, NotLoggedIn):
                await self.publish()

    async def _watch(self) -> None:
        endpoint = self._line.network.endpoint
        while True:
            await asyncio.sleep(LOOK)
            here = await asyncio.to_thread(interfaces)  # asking the kernel takes milliseconds
            hosts = here.hosts
            if here == endpoint.interfaces:
                continue
            log.info("event=moved addresses=%s", ",".join(hosts))
            endpoint.look_around(here)
            if self._book.connected and plain_host(self._book.local_host) not in hosts:
                self._book.reconnect("This machine's address changed.")
            with contextlib.suppress(NotConnected, Refused, NotLoggedIn):
                await self._find_servers()
                await self._ask()


async def bind(line: Line, wanted: int, last: int) -> None:
    """Takes the UDP port that is wanted, or else that of the last run, where contacts may look for it.

    0 stands for any. Raises `UdpPortTaken`.
    """
    for port in (wanted,) if wanted or not last else (last, 0):
        try:
            await line.bind(port)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
        else:
            return
    raise UdpPortTaken(f"UDP port {port} cannot be used ({reason}); choose another with --port.")


async def _resolved(server: str) -> list[Endpoint]:
    """The address of the user's own STUN server. Raises `SettingsError` for what cannot be one."""
    try:
        host, port = split_address(server, STUN_PORT)
    except NotConnected:
        raise SettingsError(f"The setting stun is {server!r}; write HOST or HOST:PORT.") from None
    try:
        addresses = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as error:
        log.warning("event=stun_unresolved server=%r reason=%r", server, str(error))
        return []
    return [Endpoint(plain_host(str(addresses[0][4][0])), port)]
