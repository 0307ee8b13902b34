"""Where this machine can be reached: the addresses of its interfaces, as endpoints to publish."""

import ipaddress
from collections.abc import Iterable

import msgspec

from shell.line.candidates import RELAYED_PORT, Address, Candidate, PathKind
from wire.limits import MAX_ENDPOINTS
from wire.messages import Endpoint

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class Interfaces(msgspec.Struct, frozen=True):
    """The addresses of this machine and the networks that they are on."""

    hosts: tuple[str, ...]
    networks: frozenset[IpNetwork]

    def near(self, host: str) -> bool:
        """Whether an address is this machine's own, or on a network that it is on."""
        address = _plain(host)
        return address.is_loopback or any(address in network for network in self.networks)

    def kind_of(self, address: Address) -> PathKind:
        """How a datagram gets to an address of which nothing else is known: one that turned up by itself."""
        if address[1] == RELAYED_PORT:
            return PathKind.RELAYED
        return PathKind.LOCAL if self.near(address[0]) else PathKind.PUNCHED

    def candidate(self, endpoint: Endpoint, address: Address) -> Candidate:
        """A published endpoint, under the name that the socket has for it."""
        direct = PathKind.PUNCHED if endpoint.outside else PathKind.DIRECT
        return Candidate(address, PathKind.LOCAL if self.near(endpoint.host) else direct)


def interfaces() -> Interfaces:
    """What this machine has now; link-local addresses are left out, since they mean something else on every
    link (RFC 4291 §2.5.6)."""
    import ifaddr

    hosts: list[str] = []
    networks: set[IpNetwork] = set()
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            host = ip.ip if isinstance(ip.ip, str) else ip.ip[0]
            address = _plain(host)
            if not address.is_link_local:
                hosts.append(str(address))
                networks.add(ipaddress.ip_network(f"{address}/{ip.network_prefix}", strict=False))
    return Interfaces(tuple(hosts), frozenset(networks))


def local_endpoints(
    here: Interfaces, port: int, local_host: str, observed: str, outside: Iterable[Endpoint] = ()
) -> tuple[Endpoint, ...]:
    """Endpoints for a UDP port, likeliest first: the way to the phone book, the other interfaces, outside.

    `observed` is the address that the phone book sees our TCP connection come from, good where no STUN server
    answers and a NAT keeps ports. Loopback is published only where the phone book itself is reached over it.
    """
    near = [plain_host(local_host), *(host for host in here.hosts if not _plain(host).is_loopback)]
    found = [Endpoint(host, port) for host in dict.fromkeys(near) if not _plain(host).is_link_local]
    seen = [endpoint for endpoint in outside if endpoint.host not in near]
    if not seen and plain_host(observed) not in near:
        seen = [Endpoint(plain_host(observed), port, outside=True)]
    return (*found[: MAX_ENDPOINTS - len(seen)], *dict.fromkeys(seen))


def is_loopback(host: str) -> bool:
    """Whether an address never leaves this machine."""
    return _plain(host).is_loopback


def plain(address: Address) -> Address:
    """An address as people write it."""
    host, port = address
    return (host if port == RELAYED_PORT else plain_host(host)), port


def plain_host(host: str) -> str:
    """An IP address as people write it: without a zone, and IPv4 as IPv4 (RFC 4291 §2.5.5.2)."""
    return str(_plain(host))


def _plain(host: str) -> IpAddress:
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
