"""Which of the things that arrive by themselves somebody wants: for `wait` and `on`. Pure."""

from fnmatch import fnmatchcase

import msgspec

from shell.events import (
    Disconnected,
    Event,
    FileOffered,
    FileStopped,
    KeyChanged,
    KnockArrived,
    MessageArrived,
    MessageProgressed,
    MessagesRead,
    NoticeArrived,
    Reconnected,
    RequestArrived,
    SessionEnded,
    StatusChanged,
    TransferEnd,
)
from wire.names import name_key

KINDS: dict[str, type[Event]] = {
    "message": MessageArrived,
    "request": RequestArrived,
    "knock": KnockArrived,
    "status": StatusChanged,
    "delivered": MessageProgressed,
    "read": MessagesRead,
    "key": KeyChanged,
    "offer": FileOffered,
    "file": TransferEnd,
    "notice": NoticeArrived,
    "end": SessionEnded,
    "away": Disconnected,
    "connection": Reconnected,
}
"""What a script calls an event."""


class Filter(msgspec.Struct, frozen=True):
    """Events of one kind, and only some of them."""

    kind: str
    """A key of `KINDS`."""
    name: str = ""
    """From or about whom; empty for anybody."""
    status: str = ""
    """For `status`: which; empty for any."""
    containing: str = ""
    """What the text has in it, in any case."""
    matching: str = ""
    """What the whole text looks like, in any case, with `*` and `?`: no regular expression, which somebody's
    text could keep busy for ever."""

    def fits(self, event: Event) -> bool:
        """Whether it is one of those."""
        if not isinstance(event, KINDS[self.kind]):
            return False
        name, text = name_of(event), text_of(event)
        if isinstance(event, MessageProgressed) and event.state != self.kind:
            return False
        return (
            (not self.name or name_key(name) == name_key(self.name))
            and (not self.status or text == self.status)
            and self.containing.casefold() in text.casefold()
            and (not self.matching or fnmatchcase(text.casefold(), _literal(self.matching.casefold())))
        )

    def __str__(self) -> str:
        words = [self.kind, self.name, self.status]
        words += [f"--containing {self.containing!r}"] if self.containing else []
        words += [f"--matching {self.matching!r}"] if self.matching else []
        return " ".join(filter(None, words))


def _literal(pattern: str) -> str:
    """The pattern with no special sense of brackets, as in `list`."""
    return pattern.replace("[", "[[]")


def kind_of(event: Event) -> str:
    """What scripts call it; empty for what they are not told of."""
    return next((kind for kind, type_ in KINDS.items() if isinstance(event, type_)), "")


def name_of(event: Event) -> str:
    """Whom it is from or about; empty where that is nobody."""
    return str(getattr(event, "name", ""))


def text_of(event: Event) -> str:
    """Its words: of a message or notice, the status, the reason, the file; empty where there are none."""
    match event:
        case MessageArrived(text=text) | NoticeArrived(text) | SessionEnded(text=text):
            return text
        case StatusChanged(status=status):
            return status.value
        case MessageProgressed(state=state):
            return state
        case FileOffered(kind=kind, title=title):
            return f"{kind} {title}"
        case TransferEnd(kind=kind, title=title):
            return f"{kind} {title} {event.reason if isinstance(event, FileStopped) else 'done'}"
        case Disconnected(reason):
            return reason
        case _:
            return ""
