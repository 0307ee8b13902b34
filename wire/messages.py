"""What shell and phone book say to each other: requests, their replies, and what the phone book pushes.

Each request is a Struct tied to its JSON-RPC method and to the type of its reply in `METHODS`; each push is
tied to its method in `NOTIFICATIONS`. Bytes travel as base64. Times are seconds since the epoch, UTC.
"""

import enum
import ipaddress
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from wire import limits
from wire.relay import PASS_BYTES
from wire.times import Moment

Name = Annotated[str, Meta(min_length=1, max_length=limits.MAX_NAME)]
Password = Annotated[str, Meta(max_length=limits.MAX_PASSWORD)]
Certificate = Annotated[bytes, Meta(max_length=limits.MAX_CERTIFICATE)]
FingerprintBytes = Annotated[
    bytes, Meta(min_length=limits.FINGERPRINT_BYTES, max_length=limits.FINGERPRINT_BYTES)
]
Code = Annotated[str, Meta(max_length=limits.MAX_CODE)]
Token = Annotated[str, Meta(max_length=limits.MAX_TOKEN)]


class Status(enum.Enum):
    """What others see of somebody."""

    ONLINE = "online"
    AWAY = "away"
    BUSY = "busy"
    OFFLINE = "offline"


class Visibility(enum.Enum):
    """What somebody wants to be seen as, and by whom."""

    ONLINE = "online"
    AWAY = "away"
    BUSY = "busy"
    CONTACTS = "contacts"
    HIDDEN = "hidden"


class CloseReason(enum.Enum):
    """Why the phone book ends a session."""

    KICKED = "kicked"
    REPLACED = "replaced"
    PASSWORD_CHANGED = "password-changed"  # noqa: S105
    SHUTDOWN = "shutdown"
    TOO_SLOW = "too-slow"
    BANNED = "banned"
    DELETED = "deleted"


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """The base of all: unknown fields are ignored, so that newer minor versions can add some."""


_BROADCAST = ipaddress.IPv4Address("255.255.255.255")


class Endpoint(Message, frozen=True):
    """Where a UDP socket can be reached: an IP address and a port."""

    host: Annotated[str, Meta(max_length=45)]  # 45 characters: the longest IPv6 text form
    port: Annotated[int, Meta(ge=1, le=65535)]
    outside: bool = False
    """Whether it is what somebody out there saw of this socket, beyond a NAT."""

    def __post_init__(self) -> None:
        """Raises ValueError for a host that is no address of one machine; a name would cost a look-up."""
        address = ipaddress.ip_address(self.host)
        if "%" in self.host:  # a zone means something on its own machine only, and may be any text
            raise ValueError("an address has a zone")
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            raise ValueError(f"{self.host} is an IPv4 address, to be written as one")
        if address.is_multicast or address.is_unspecified or address == _BROADCAST:
            raise ValueError(f"{self.host} is no address of one machine")

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


Endpoints = Annotated[tuple[Endpoint, ...], Meta(max_length=limits.MAX_ENDPOINTS)]

# --- requests -------------------------------------------------------------------------------------------


class Hello(Message, frozen=True):
    """The first request of a connection."""

    major: int
    minor: int
    client: Annotated[str, Meta(max_length=64)]


class Signup(Message, frozen=True):
    """Makes an account and logs in."""

    name: Annotated[str, Meta(max_length=256)]  # longer than a name may be, so that the rules can say why not
    password: Password
    certificate: Certificate
    endpoints: Endpoints = ()
    invite: Code = ""
    """A one-time code of the operator, where the phone book asks for one."""


class Reset(Message, frozen=True):
    """Sets a new password by a one-time token of the operator, and logs in."""

    name: Annotated[str, Meta(max_length=256)]
    token: Code
    password: Password
    certificate: Certificate
    endpoints: Endpoints = ()


class Login(Message, frozen=True):
    """Starts a session; an older session of the account ends."""

    name: Annotated[str, Meta(max_length=256)]
    password: Password
    certificate: Certificate
    endpoints: Endpoints = ()


class Resume(Message, frozen=True):
    """Takes a session up again on a new connection, without the password."""

    token: Token
    endpoints: Endpoints = ()


class Logout(Message, frozen=True):
    """Ends the session; its resume token no longer holds."""


class ListPeople(Message, frozen=True):
    """One page of everybody with an account, by name."""

    pattern: Annotated[str, Meta(max_length=limits.MAX_PATTERN)] = ""
    """A beginning of names, or a pattern with `*` and `?`."""
    status: Status | None = None
    after: Annotated[str, Meta(max_length=limits.MAX_NAME)] = ""
    """The name that the page before ended with."""


class Whois(Message, frozen=True):
    """What the phone book tells about somebody."""

    name: Name


class Passwd(Message, frozen=True):
    """Changes the password; all other sessions and resume tokens of the account end."""

    old: Password
    new: Password


class SetVisibility(Message, frozen=True):
    """Who may see this account, and as what."""

    visibility: Visibility
    allowed: Annotated[tuple[Name, ...], Meta(max_length=limits.MAX_ALLOWED)] = ()
    """Who still sees it as online where the visibility is `contacts` or `hidden`."""


class SetBlocked(Message, frozen=True):
    """To whom this account looks offline from now on, whatever its visibility is; nobody else."""

    blocked: Annotated[tuple[Name, ...], Meta(max_length=limits.MAX_BLOCKED)]


class Watch(Message, frozen=True):
    """Asks for `Presence` pushes about these people; the reply has their status now."""

    names: Annotated[tuple[Name, ...], Meta(max_length=limits.PAGE)]


class Unwatch(Message, frozen=True):
    """Ends the pushes about these people."""

    names: Annotated[tuple[Name, ...], Meta(max_length=limits.PAGE)]


class Introduce(Message, frozen=True):
    """Asks to be introduced to somebody, in order to call them."""

    name: Name


class Knock(Message, frozen=True):
    """Leaves word that one wants to talk; the answer is the same whether they are there or not."""

    name: Name


class SetEndpoints(Message, frozen=True):
    """Where this shell's UDP socket can be reached from now on."""

    endpoints: Endpoints


class Ping(Message, frozen=True):
    """A heartbeat."""


# --- replies --------------------------------------------------------------------------------------------


class Welcome(Message, frozen=True):
    """The reply to `Hello`."""

    major: int
    minor: int
    server: str
    time: Moment
    """The phone book's clock, for judging the expiry of introductions."""
    ticket_key: bytes
    """Ed25519 public key (32 bytes, RFC 8032) that signs introductions."""
    observed: str
    """The IP address that the phone book sees this connection come from."""


class Session(Message, frozen=True):
    """The reply to `Signup`, `Login` and `Resume`."""

    name: str
    """The name as it was written at sign-up."""
    token: str
    """For `Resume`; good until logout, the next login, a kick or a password change."""
    visibility: Visibility


class Done(Message, frozen=True):
    """The reply to requests whose only answer is that they were carried out."""


class Person(Message, frozen=True):
    """One line of `list`."""

    name: str
    status: Status


class People(Message, frozen=True):
    """One page of `list`; `more` says whether another follows."""

    people: tuple[Person, ...]
    more: bool = False


class Profile(Message, frozen=True):
    """The reply to `Whois`."""

    name: str
    status: Status
    since: Moment
    """When the status began, as far as others may know."""
    created: Moment
    fingerprint: FingerprintBytes
    endpoints: tuple[Endpoint, ...] | None = None
    """None for those who were not introduced; empty for somebody offline."""


class Statuses(Message, frozen=True):
    """The reply to `Watch`; names without an account are left out."""

    people: tuple[Person, ...]


class NewToken(Message, frozen=True):
    """The reply to `Passwd`: the old resume token no longer holds."""

    token: str


class Introduction(Message, frozen=True):
    """The reply to `Introduce`, and the push to the one to be called; each names the other."""

    name: str
    fingerprint: FingerprintBytes
    endpoints: tuple[Endpoint, ...]
    ticket: Annotated[bytes, Meta(max_length=limits.MAX_TICKET)]
    """A `SignedTicket`, see `wire.tickets`."""
    relay: Annotated[bytes, Meta(max_length=PASS_BYTES)] = b""
    """The receiver's pass to the relay, see `wire.relay`; empty where the phone book offers none."""


# --- pushes ---------------------------------------------------------------------------------------------


class Presence(Message, frozen=True):
    """Somebody watched changed their status, as far as this session may see it."""

    name: str
    status: Status


class Introduced(Message, frozen=True):
    """Somebody is about to call."""

    introduction: Introduction


class Moved(Message, frozen=True):
    """Somebody whose introduction to this session is fresh can be reached elsewhere now."""

    name: str
    endpoints: tuple[Endpoint, ...]


class Knocked(Message, frozen=True):
    """Somebody left word that they want to talk."""

    name: str
    time: Moment
    """When, by the phone book's clock."""


class Notice(Message, frozen=True):
    """Words of the operator to everybody."""

    text: str


class Closing(Message, frozen=True):
    """The session ends now, and why."""

    reason: CloseReason
    text: str = ""


ReplyT = TypeVar("ReplyT", bound=Message)

METHODS: dict[str, tuple[type[Message], type[Message]]] = {
    "hello": (Hello, Welcome),
    "signup": (Signup, Session),
    "login": (Login, Session),
    "reset": (Reset, Session),
    "resume": (Resume, Session),
    "logout": (Logout, Done),
    "list": (ListPeople, People),
    "whois": (Whois, Profile),
    "passwd": (Passwd, NewToken),
    "visibility": (SetVisibility, Done),
    "block": (SetBlocked, Done),
    "watch": (Watch, Statuses),
    "unwatch": (Unwatch, Done),
    "introduce": (Introduce, Introduction),
    "knock": (Knock, Done),
    "endpoints": (SetEndpoints, Done),
    "ping": (Ping, Done),
}
"""Method: its parameters and its result."""

NOTIFICATIONS: dict[str, type[Message]] = {
    "presence": Presence,
    "introduced": Introduced,
    "moved": Moved,
    "knocked": Knocked,
    "notice": Notice,
    "closing": Closing,
}
"""Method: its parameters. Only the phone book sends these."""

METHOD_OF: dict[type[Message], str] = {request: method for method, (request, _) in METHODS.items()}
METHOD_OF |= {push: method for method, push in NOTIFICATIONS.items()}
