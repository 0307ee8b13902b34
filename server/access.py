"""Who may come in: bans by name, address and network, and who may make an account. Nothing here reads a clock
or a disk: what the operator decided comes in when the phone book starts and whenever it changes.
"""

import enum
import ipaddress
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from wire.errors import Banned, ErrorCode, Refused
from wire.names import NameKey, name_key

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network


class Registration(enum.Enum):
    """Who may make an account."""

    OPEN = "open"
    INVITE = "invite"
    CLOSED = "closed"


class Target(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whom a ban hits: a name, or a network (of one address or more)."""

    name: str = ""
    network: str = ""

    def __str__(self) -> str:
        if self.name:
            return self.name
        network = ipaddress.ip_network(self.network)
        return str(network.network_address) if network.num_addresses == 1 else str(network)

    def has(self, address: str) -> bool:
        """Whether an address is of the network."""
        return bool(self.network) and plain_address(address) in ipaddress.ip_network(self.network)

    @property
    def key(self) -> str:
        """The one form under which a ban is kept."""
        return f"name:{name_key(self.name)}" if self.name else f"network:{self.network}"


class Ban(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who may not come in, until when, and what they are told."""

    target: Target
    reason: str = ""
    until: float | None = None
    """Seconds since the epoch; None for good."""

    def holds(self, now: float) -> bool:
        """Whether it has not run out."""
        return self.until is None or now < self.until

    def refusal(self) -> Banned:
        """What whoever it hits is told."""
        return Banned(self.sentence(), reason=self.reason, until=self.until or 0.0)

    def sentence(self) -> str:
        """The same as a sentence."""
        who = "You are" if self.target.name else f"Your address ({self.target}) is"
        end = f"until {show_time(self.until)}" if self.until is not None else "for good"
        return f"{who} banned {end}{f': {self.reason}' if self.reason else '.'}"


class Access:
    """The bans that hold, and the registration. A look costs the same for one ban and for a thousand."""

    def __init__(self, bans: Iterable[Ban], registration: Registration) -> None:
        self.registration = registration
        self._names: dict[NameKey, Ban] = {}
        self._networks: dict[tuple[int, int], dict[int, Ban]] = {}
        """By version and length of the prefix, then by the prefix's bits: one look for each length in use."""
        for ban in bans:
            self.ban(ban)

    def bans(self, now: float) -> list[Ban]:
        """Those that hold, names first."""
        return [ban for ban in self._all() if ban.holds(now)]

    def of(self, target: Target, now: float) -> Ban | None:
        """The ban of exactly this target."""
        if target.name:
            found = self._names.get(name_key(target.name))
        else:
            table, bits = _place(ipaddress.ip_network(target.network))
            found = self._networks.get(table, {}).get(bits)
        return found if found is not None and found.holds(now) else None

    def ban(self, ban: Ban) -> None:
        """From now on it holds; it takes the place of an older one of the same target."""
        if ban.target.name:
            self._names[name_key(ban.target.name)] = ban
        else:
            table, bits = _place(ipaddress.ip_network(ban.target.network))
            self._networks.setdefault(table, {})[bits] = ban

    def unban(self, target: Target) -> None:
        """It no longer holds."""
        if target.name:
            self._names.pop(name_key(target.name), None)
            return
        place, bits = _place(ipaddress.ip_network(target.network))
        table = self._networks.get(place, {})
        table.pop(bits, None)
        if not table:
            self._networks.pop(place, None)

    def forget_expired(self, now: float) -> list[Target]:
        """Drops the bans that have run out; whose they were."""
        expired = [ban.target for ban in self._all() if not ban.holds(now)]
        for target in expired:
            self.unban(target)
        return expired

    def address_ban(self, address: str, now: float) -> Ban | None:
        """What keeps an address out."""
        if not self._networks:  # the way of almost every connection
            return None
        ip = plain_address(address)
        number, width = int(ip), ip.max_prefixlen
        for (version, length), table in self._networks.items():
            if version == ip.version:
                ban = table.get(number >> (width - length))
                if ban is not None and ban.holds(now):
                    return ban
        return None

    def name_ban(self, key: NameKey, now: float) -> Ban | None:
        """What keeps a name out."""
        ban = self._names.get(key)
        return ban if ban is not None and ban.holds(now) else None

    def check(self, address: str, now: float, key: NameKey | None = None) -> None:
        """Raises `Banned` for an address, or a name, that may not come in."""
        ban = self.address_ban(address, now)
        if ban is None and key is not None:
            ban = self.name_ban(key, now)
        if ban is not None:
            raise ban.refusal()

    def check_registration(self, invite: str) -> None:
        """Raises `Refused` where nobody may make an account, or nobody without an invite."""
        if self.registration is Registration.CLOSED:
            raise Refused(
                ErrorCode.REGISTRATION_CLOSED, "This phone book takes no sign-ups; ask its operator."
            )
        if self.registration is Registration.INVITE and not invite:
            raise Refused(
                ErrorCode.INVITE_NEEDED,
                "This phone book takes sign-ups by invitation; ask its operator for a code (--invite CODE).",
            )

    def _all(self) -> list[Ban]:
        """Names first."""
        networks = (ban for table in self._networks.values() for ban in table.values())
        return [*self._names.values(), *networks]


def target_of(text: str, *, is_name: bool = False) -> Target:
    """What an operator typed: an address, a network in CIDR form, else a name. Raises ValueError.

    A name that looks like an address is meant with `is_name`.
    """
    if not is_name:
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError:
            if "/" in text or ":" in text:
                raise ValueError(
                    f"{text} is no address and no network; write 192.0.2.7 or 192.0.2.0/24"
                ) from None
        else:
            return Target(network=str(_plain_network(network)))
    return Target(name=text)


def plain_address(text: str) -> IpAddress:
    """An address, without a zone; an IPv4 one that is wrapped in IPv6 (RFC 4291 §2.5.5.2) as itself."""
    ip = ipaddress.ip_address(text.partition("%")[0])
    return (ip.ipv4_mapped or ip) if isinstance(ip, ipaddress.IPv6Address) else ip


def show_time(when: float) -> str:
    """A moment for somebody whose time zone is not known."""
    return f"{datetime.fromtimestamp(when, UTC):%Y-%m-%d %H:%M} UTC"


def _plain_network(network: IpNetwork) -> IpNetwork:
    mapped = isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped
    if mapped and network.prefixlen >= _MAPPED_BITS:
        return ipaddress.ip_network(f"{mapped}/{network.prefixlen - _MAPPED_BITS}")
    return network


_MAPPED_BITS = 96  # of an IPv6 prefix before a wrapped IPv4 address


def _place(network: IpNetwork) -> tuple[tuple[int, int], int]:
    bits = int(network.network_address) >> (network.max_prefixlen - network.prefixlen)
    return (network.version, network.prefixlen), bits
