"""Announces the phone book on the local network: DNS-SD (RFC 6763) over multicast DNS (RFC 6762).

Whoever starts `parley` there finds it without typing an address. The announcement proves nothing: the key
that a shell pins is that of the connection.
"""

import logging
import socket
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self

from server.embedded import EmbeddedPhoneBook
from server.listener import usable_interfaces
from server.settings import listen_address
from wire import PROTOCOL_MAJOR, PROTOCOL_MINOR, SERVICE_TYPE

if TYPE_CHECKING:
    from zeroconf import ServiceInfo, Zeroconf

log = logging.getLogger(__name__)

MAX_HOST_NAME = 40  # characters of it in the instance name, which has 63 bytes at most (RFC 6763 §4.1.1)
ID_DIGITS = 12  # hexadecimal digits of the key in the host name of the announcement
WITHDRAW_PATIENCE = 5.0  # seconds for the network to hear that it ends


class Announcer:
    """Announces until `withdraw`; a context manager. A network that refuses is logged, and that is all.

    A phone book that listens on one address is announced on that interface alone.
    """

    def __init__(self, book: EmbeddedPhoneBook) -> None:
        everywhere = not listen_address(book.server.settings.listen)[0]
        host, port = "" if everywhere else book.address[0], book.address[1]
        addresses = [host] if host else usable_interfaces()
        label = f"parley-{book.server.fingerprint.hex()[:ID_DIGITS]}"
        self._withdrawn = threading.Event()
        self._announced = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(host, port, addresses, label), name="announcer", daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.withdraw()

    def announced(self, patience: float) -> bool:
        """Whether the network knows, waiting up to `patience` seconds."""
        return self._announced.wait(patience)

    def withdraw(self) -> None:
        """Tells the network that the phone book is no longer there."""
        self._withdrawn.set()
        if self._announced.is_set():
            self._thread.join(WITHDRAW_PATIENCE)

    def _run(self, host: str, port: int, addresses: list[str], label: str) -> None:
        # Loading it and asking whether the name is free take two seconds, for which nobody has to wait.
        from zeroconf import Error, ServiceInfo

        info = ServiceInfo(
            SERVICE_TYPE,
            f"Parley at {socket.gethostname()[:MAX_HOST_NAME]}.{SERVICE_TYPE}",
            port=port,
            parsed_addresses=addresses,
            server=f"{label}.local.",
            properties={"protocol": f"{PROTOCOL_MAJOR}.{PROTOCOL_MINOR}"},
        )
        try:
            network = _open(host)
        except (OSError, RuntimeError, Error) as error:
            log.warning("event=not_announced reason=%r", str(error))
            return
        try:
            self._announce(network, info)
        except (OSError, Error) as error:
            log.warning("event=not_announced reason=%r", str(error))
        finally:
            network.close()  # says goodbye (RFC 6762 §10.1)

    def _announce(self, network: "Zeroconf", info: "ServiceInfo") -> None:
        network.register_service(info, allow_name_change=True)
        self._announced.set()
        log.info("event=announced name=%r port=%d", info.name, info.port)
        self._withdrawn.wait()


def _open(host: str) -> "Zeroconf":
    """Multicast DNS on the interface of an address, or on all of them."""
    from zeroconf import IPVersion, Zeroconf

    if host:
        return Zeroconf(interfaces=[host])
    try:
        return Zeroconf(ip_version=IPVersion.All)
    except OSError:  # no IPv6 here
        return Zeroconf(ip_version=IPVersion.V4Only)
