"""How events look above the prompt. Pure: what others wrote is made safe here and nowhere later."""

from rich.filesize import decimal
from rich.text import Text

from shell.conversation import spoken_of, spoken_text
from shell.events import (
    DatagramSeen,
    Disconnected,
    Event,
    FileArrived,
    FileOffered,
    FileStopped,
    FileTaken,
    FrameSeen,
    KeyChanged,
    KnockArrived,
    MessageArrived,
    MessageProgressed,
    MessagesRead,
    NoticeArrived,
    NotTrusted,
    PathChanged,
    Reconnected,
    RequestArrived,
    SessionEnded,
    StatusChanged,
    StorageFailed,
    Unreached,
    VisibilityEnded,
)
from shell.kit.theme import ALARM, NAME, QUIET, WARNING, marked, style_of
from shell.kit.times import clock
from wire.certificates import show_fingerprint
from wire.display import safe
from wire.frames import TransferKind
from wire.messages import CloseReason

REASONS = {
    CloseReason.KICKED: "The operator ended your session",
    CloseReason.REPLACED: "Your session was taken over",
    CloseReason.PASSWORD_CHANGED: "The password was changed",
    CloseReason.SHUTDOWN: "The session is over",
    CloseReason.BANNED: "The operator keeps you out",
    CloseReason.DELETED: "The account is gone",
    CloseReason.TOO_SLOW: "The phone book cut a connection that did not read",
}


def ended_line(event: SessionEnded) -> str:
    """Why a session ended."""
    return f"{REASONS[event.reason]}{f': {safe(event.text)}' if event.text else '.'}"


def message_line(message: MessageArrived, time_format: str) -> Text:
    """One message: time, writer, words; for a question, how to answer it."""
    time = clock(message.written, time_format) + " "
    return Text.assemble((time, QUIET), spoken_text(spoken_of(message), NAME))


def news(event: Event, *, time_format: str, plain: bool) -> Text | None:
    """What the person sees of an event; None for what the toolbar or the command itself tells."""
    match event:
        case MessageArrived():
            return message_line(event, time_format)
        case RequestArrived(name, waiting):
            many = f" ({waiting} messages)" if waiting > 1 else ""
            return Text.assemble(
                (safe(name), NAME), f" wants to talk to you{many}: accept, decline or block {safe(name)}"
            )
        case KnockArrived(name, knocked):
            return Text.assemble(
                (clock(knocked, time_format) + " ", QUIET),
                (safe(name), NAME),
                f" knocks: `msg {safe(name)} TEXT` answers, and nothing tells them that you are here",
            )
        case MessageProgressed(name, _, "delivered"):
            return Text(f"Delivered to {safe(name)}.", QUIET)
        case MessageProgressed(name, _, "refused"):
            return Text(f"{safe(name)} declined your message.", WARNING)
        case MessageProgressed():
            return None
        case MessagesRead(name, ids):
            what = "your message" if len(ids) == 1 else f"{len(ids)} of your messages"
            return Text(f"{safe(name)} has read {what}.", QUIET)
        case KeyChanged(name, pinned, presented):
            return Text(
                f"WARNING: the key of {safe(name)} has changed. Somebody may be between you, or {safe(name)} "
                f"has a new machine.\nwas {show_fingerprint(pinned)}\nnow {show_fingerprint(presented)}\n"
                f"Nothing passes until you check with {safe(name)} and type: accept-key {safe(name)}",
                ALARM,
            )
        case NotTrusted(name):
            return Text(
                f"{safe(name)}'s shell does not trust your key (it has pinned another); ask {safe(name)} to "
                "check it and to type accept-key with your name. Your messages wait.",
                WARNING,
            )
        case Unreached(name, reason):
            return Text(f"{safe(name)} could not be reached; messages wait. {safe(reason)}", WARNING)
        case PathChanged(name, "relayed"):
            return Text(f"The line to {safe(name)} is relayed, still end-to-end encrypted.", QUIET)
        case PathChanged(name):
            return Text(f"The line to {safe(name)} goes straight to their shell now.", QUIET)
        case StatusChanged(name, status):
            shown = marked(status.value, plain=plain)
            return Text.assemble((safe(name), NAME), " is ", (shown, style_of(status.value)))
        case VisibilityEnded(visibility):
            return Text(f"The time is up: your visibility is {visibility.value} again.", QUIET)
        case NoticeArrived(text):
            return Text.assemble(("Notice: ", WARNING), safe(text))
        case SessionEnded():
            return Text(ended_line(event), WARNING)
        case Disconnected(reason):
            return Text(f"{safe(reason)}\nThe shell tries to come back; talks go on.", WARNING)
        case Reconnected():
            return Text("The phone book is back.", QUIET)
        case FileOffered(name, number, kind, title, size):
            shown = "" if size is None else f" ({decimal(size)})"
            how = f"pipe {safe(name)} > FILE" if kind == TransferKind.PIPE.value else f"take {number}"
            return Text.assemble(
                (safe(name), NAME), f" offers the {kind} {safe(title)}{shown}: {how}, or refuse {number}"
            )
        case FileTaken(name, _, kind, title):
            return Text(f"{safe(name)} has the {kind} {safe(title)}.", QUIET)
        case FileArrived(name, _, kind, title, path):
            where = f" is saved as {safe(path)}" if path else " is over"
            return Text.assemble(f"The {kind} {safe(title)} of ", (safe(name), NAME), where)
        case FileStopped(name, _, kind, title, reason, _, by_peer):
            who = f" by {safe(name)}" if by_peer else ""
            return Text(f"The {kind} {safe(title)} was ended{who}: {reason}.", WARNING)
        case DatagramSeen(outgoing, host, port, what, at):
            return Text(f"{at:9.4f} s  {'to  ' if outgoing else 'from'} {host}:{port}  {what}", QUIET)
        case FrameSeen(outgoing, name, what, at):
            return Text(f"{at:9.4f} s    {'to  ' if outgoing else 'from'} {safe(name)}  {what}", QUIET)
        case StorageFailed(reason):
            return Text(safe(reason), ALARM)
        case _:
            return None
