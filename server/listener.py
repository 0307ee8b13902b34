"""The listening socket: one for both address families, TLS 1.3, and the address that others can use."""

import errno
import ipaddress
import socket
import ssl
from pathlib import Path

from ifaddr import get_adapters

from server.errors import PortTaken, SettingsError

PAIR_TRIES = 20  # free ports that are tried until one is free for UDP as well
UDP_BUFFER = 1024 * 1024  # bytes; a burst of relayed datagrams overruns the kernel's default
BACKLOG = 1024  # connections that the kernel holds until they are accepted
_ELSEWHERE = (("192.0.2.1", socket.AF_INET), ("2001:db8::1", socket.AF_INET6))  # RFC 5737, RFC 3849


def listening_socket(host: str, port: int) -> socket.socket:
    """Bound and listening; an empty host means every address of both families.

    Raises `PortTaken`. SO_REUSEADDR lets a restart bind at once, and still refuses a second server.
    """
    try:
        if host:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            return socket.create_server(
                (str(address[0]), port), family=socket.AddressFamily(family), backlog=BACKLOG
            )
        if socket.has_dualstack_ipv6():
            return socket.create_server(
                ("", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True
            )
        return socket.create_server(("", port), backlog=BACKLOG)
    except OSError as error:
        where = f"{host or 'every address'} port {port}"
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(
                f"Something else listens on {where}; stop it, or choose another with --listen."
            ) from None
        reason = (error.strerror or str(error)).lower()
        raise PortTaken(f"The server cannot listen on {where}: {reason}.") from None


def listening_pair(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """A listening TCP socket and a UDP socket on the same address and port. Raises `PortTaken`."""
    for _ in range(PAIR_TRIES):
        listening = listening_socket(host, port)
        address = listening.getsockname()
        try:
            datagrams = socket.socket(listening.family, socket.SOCK_DGRAM)
            if listening.family == socket.AF_INET6:
                only = listening.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
                datagrams.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                datagrams.setsockopt(socket.SOL_SOCKET, option, UDP_BUFFER)
            datagrams.setblocking(False)
            datagrams.bind(address)
        except OSError as error:
            datagrams.close()
            listening.close()
            if port or error.errno != errno.EADDRINUSE:
                reason = (error.strerror or str(error)).lower()
                raise PortTaken(
                    f"The server cannot use UDP port {address[1]}: {reason}; stop what uses it, or choose "
                    "another port with --listen."
                ) from None
        else:
            return listening, datagrams
    raise PortTaken("No port was free for both TCP and UDP; choose one with --listen.")


def tls_context(certificate: Path, key: Path | None) -> ssl.SSLContext:
    """TLS 1.3 with this certificate. Raises `SettingsError` where the files do not fit."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0  # shells come back by tokens of their own; tickets cost a tenth of a handshake
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"The certificate {certificate} cannot be used: {error}.") from None
    return context


def usable_address(bound: socket.socket) -> str:
    """The IP address that others can use to reach a listening socket."""
    host = str(bound.getsockname()[0]).removeprefix("::ffff:")
    if host not in ("::", "0.0.0.0"):  # noqa: S104
        return host
    for elsewhere, family in _ELSEWHERE:
        # Connecting a UDP socket sends nothing; it only asks which address the way out would use.
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((elsewhere, 9))
                return str(probe.getsockname()[0])
        except OSError:
            continue
    return _interface_address()  # an isolated network has no way out


def usable_interfaces() -> list[str]:
    """The addresses of this machine that others can reach, IPv4 before IPv6."""
    ips = [ip.ip for adapter in get_adapters() for ip in adapter.ips]
    addresses = [ipaddress.ip_address(ip if isinstance(ip, str) else ip[0]) for ip in ips]
    usable = [address for address in addresses if not (address.is_loopback or address.is_link_local)]
    return [str(address) for address in sorted(usable, key=lambda address: address.version)]


def _interface_address() -> str:
    """The first address that others can reach; loopback where there is none."""
    return next(iter(usable_interfaces()), "127.0.0.1")
