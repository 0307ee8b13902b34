"""What an operator asks of the phone book and what it answers: each action is one Struct, tied to the type of
its reply. Pure, and the same for the console in the server's terminal and for one that is attached.
"""

import msgspec

from server.access import Registration, Target
from server.action import Action as Action
from server.action import Change as Change
from server.action import Changed as Changed
from server.action import Reply as Reply
from server.action import ReplyT as ReplyT
from server.action import reply_type as reply_type
from server.effects import Happened
from server.upkeep_actions import Drain as Drain
from server.upkeep_actions import ExportAccounts as ExportAccounts
from server.upkeep_actions import GetSettings as GetSettings
from server.upkeep_actions import ImportAccounts as ImportAccounts
from server.upkeep_actions import MakeBackup as MakeBackup
from server.upkeep_actions import ReloadSettings as ReloadSettings
from server.upkeep_actions import Task as Task
from wire.messages import Visibility

# --- what there is to see -------------------------------------------------------------------------------


class ClientInfo(msgspec.Struct, frozen=True):
    """One live session."""

    name: str
    address: str
    version: str
    visibility: Visibility
    since: float
    """Seconds since the epoch."""
    endpoints: tuple[str, ...]


class AccountInfo(msgspec.Struct, frozen=True):
    """One account."""

    name: str
    online: bool
    visibility: Visibility
    created: float
    last_seen: float
    """When others could see it last."""
    active: float
    """When it last had a session."""
    fingerprint: str


class Clients(Reply, frozen=True):
    """Live sessions by name, `MAX_LISTED` at most of `total`."""

    clients: tuple[ClientInfo, ...]
    total: int


class Accounts(Reply, frozen=True):
    """Accounts by name; `more` says whether there are others that fit."""

    accounts: tuple[AccountInfo, ...]
    more: bool


class Details(Reply, frozen=True):
    """All there is to know of one account."""

    account: AccountInfo
    session: ClientInfo | None


class Stats(Reply, frozen=True):
    """The phone book in figures."""

    uptime: float
    """Seconds."""
    accounts: int
    connections: int
    sessions: int
    requests: int
    hashes_waiting: int
    events: dict[str, int]
    """How often each kind of event happened since the start."""


class Overview(msgspec.Struct, frozen=True):
    """What a console's toolbar shows."""

    address: str
    """Where the phone book listens, HOST:PORT."""
    connections: int


class Recent(Reply, frozen=True):
    """What happened last, in the order in which it did."""

    events: tuple[Happened, ...]


class ListClients(Action[Clients], frozen=True):
    """Who is logged in; `pattern` is a beginning of names, or has `*` and `?`."""

    pattern: str = ""


class ListAccounts(Action[Accounts], frozen=True):
    """Who has an account; with a time only those that had no session since then."""

    pattern: str = ""
    idle_since: float | None = None


class Inspect(Action[Details], frozen=True):
    """One account and its session."""

    name: str


class GetStats(Action[Stats], frozen=True):
    """The figures."""


class ListRecent(Action[Recent], frozen=True):
    """The last things that happened, of these kinds or of any."""

    last: int
    kinds: tuple[str, ...] = ()


class BanInfo(msgspec.Struct, frozen=True):
    """One ban that holds."""

    target: str
    until: float | None
    """Seconds since the epoch; None for good."""
    reason: str


class Bans(Reply, frozen=True):
    """Those that hold."""

    bans: tuple[BanInfo, ...]


class RegistrationInfo(Reply, frozen=True):
    """Who may sign up, and whether an operator said so or the settings."""

    registration: Registration
    from_settings: bool


class InviteInfo(msgspec.Struct, frozen=True):
    """One code that was handed over."""

    entry: int
    """The entry of the journal that made it."""
    expires: float
    used_by: str = ""


class Invites(Reply, frozen=True):
    """Codes that have not run out."""

    invites: tuple[InviteInfo, ...]


class ListBans(Action[Bans], frozen=True):
    """The bans that hold."""


class GetRegistration(Action[RegistrationInfo], frozen=True):
    """Who may sign up."""


class ListInvites(Action[Invites], frozen=True):
    """The codes that have not run out."""


# --- what changes something -----------------------------------------------------------------------------


class Kick(Change, frozen=True):
    """Ends somebody's session; the reason is told to them."""

    name: str


class SendNotice(Change, frozen=True):
    """Words to everybody."""

    text: str


class Shutdown(Change, frozen=True):
    """Tells everybody why, and stops."""


class PlaceBan(Change, frozen=True):
    """Keeps a name or a network out, and ends their sessions; the reason is told to them."""

    target: Target
    until: float | None = None
    """Seconds since the epoch; None for good."""


class LiftBan(Change, frozen=True):
    """Lets them in again."""

    target: Target


class SetRegistration(Change, frozen=True):
    """Says who may sign up; None leaves it to the settings."""

    registration: Registration | None


class MakeInvites(Change, frozen=True):
    """One-time codes for sign-ups."""

    count: int
    until: float


class RevokeInvites(Change, frozen=True):
    """Those codes of an entry that were not used are good for nothing."""

    entry: int


class ResetPassword(Change, frozen=True):
    """A one-time token with which somebody sets a new password; until then the old one holds."""

    name: str
    until: float


class RevokeReset(Change, frozen=True):
    """The token of an entry is good for nothing."""

    entry: int
    name: str


class Delete(Change, frozen=True):
    """Removes an account, and ends its session."""

    name: str


class Prune(Change, frozen=True):
    """Removes the accounts that had no session since then."""

    idle_since: float


class Restore(Change, frozen=True):
    """Brings back the accounts that an entry removed."""

    entry: int


class Failed(Change, frozen=True):
    """What an entry says could not be carried out; the reason says why. No operator asks for it."""

    entry: int


class Undo(Change, frozen=True):
    """Takes back what an entry of the journal did."""

    entry: int


AnyChange = (
    Kick
    | SendNotice
    | Shutdown
    | PlaceBan
    | LiftBan
    | SetRegistration
    | MakeInvites
    | RevokeInvites
    | ResetPassword
    | RevokeReset
    | Delete
    | Prune
    | Restore
    | Failed
    | Undo
    | Drain
    | ImportAccounts
)

AnyDeed = AnyChange | Task
"""What the journal keeps."""


# --- the journal ---------------------------------------------------------------------------------------


class EntryInfo(msgspec.Struct, frozen=True):
    """One thing that an operator did."""

    number: int
    when: float
    """Seconds since the epoch."""
    author: str
    """The Unix user of the console."""
    action: AnyDeed
    hit: tuple[str, ...]
    """Some of those whom it hit."""
    hits: int
    """How many in all."""
    undoes: int | None
    """The entry that it took back."""
    undone_by: int | None
    """The entry that took it back."""


class Entries(Reply, frozen=True):
    """Entries of the journal, oldest first."""

    entries: tuple[EntryInfo, ...]


class Verdict(Reply, frozen=True):
    """What a look at the whole journal found."""

    entries: int
    """How many hold."""
    head: str
    """The digest of the last of them, hexadecimal; it vouches for all before it."""
    fault: str = ""
    """Where the chain is broken; empty where it holds."""


class ListEntries(Action[Entries], frozen=True):
    """The last entries of the journal."""

    last: int


class VerifyJournal(Action[Verdict], frozen=True):
    """Goes through the journal's chain of digests."""

    noted: bytes | None = None
    """A digest that must be in it."""


AnyAction = (
    ListClients
    | ListAccounts
    | Inspect
    | GetStats
    | ListRecent
    | ListBans
    | GetRegistration
    | ListInvites
    | ListEntries
    | VerifyJournal
    | GetSettings
    | AnyDeed
)
