"""Where this machine can be reached: the addresses of its interfaces, as endpoints to publish."""

import ipaddress

from wire.limits import MAX_ENDPOINTS
from wire.messages import Endpoint


def local_endpoints(port: int, local_host: str, observed: str) -> tuple[Endpoint, ...]:
    """Endpoints for a UDP port, likeliest first: the way to the phone book, then the other interfaces.

    `observed` is the address that the phone book sees; it differs behind a NAT that keeps ports. Loopback is
    published only where the phone book itself is reached over it, and link-local addresses never, since they
    mean something else on every link (RFC 4291 §2.5.6).
    """
    hosts = [plain_host(local_host), plain_host(observed)]
    hosts += [host for host in _interface_addresses() if not ipaddress.ip_address(host).is_loopback]
    usable = [host for host in dict.fromkeys(hosts) if not ipaddress.ip_address(host).is_link_local]
    return tuple(Endpoint(host, port) for host in usable[:MAX_ENDPOINTS])


def plain_host(host: str) -> str:
    """An IP address as people write it: without a zone, and IPv4 as IPv4 (RFC 4291 §2.5.5.2)."""
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _interface_addresses() -> list[str]:
    import ifaddr

    found = [ip.ip for adapter in ifaddr.get_adapters() for ip in adapter.ips]
    return [address if isinstance(address, str) else address[0] for address in found]
