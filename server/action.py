"""The bases of what operators ask and of what answers them. Pure."""

from typing import Generic, TypeVar, cast, get_args

import msgspec

ReplyT = TypeVar("ReplyT", bound="Reply")


def _tag(name: str) -> str:
    """`ListClients` as `list-clients`."""
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")


class Reply(msgspec.Struct, frozen=True):
    """The base of all answers."""


class Action(msgspec.Struct, Generic[ReplyT], frozen=True, omit_defaults=True, tag_field="action", tag=_tag):
    """The base of all actions; `ReplyT` is what answers it."""


class Changed(Reply, frozen=True):
    """What a change did, or would do where it was only tried."""

    hit: tuple[str, ...]
    """Names, and networks, that it hits."""
    number: int | None = None
    """Of its entry in the journal; None where it was only tried."""
    undoable: bool = False
    codes: tuple[str, ...] = ()
    """One-time codes, told this once."""


class Change(Action[Changed], frozen=True, kw_only=True):
    """The base of what changes something; with `dry_run` it only says whom it would hit."""

    reason: str = ""
    dry_run: bool = False


def reply_type(action: Action[ReplyT]) -> type[ReplyT]:
    """The type of the answer to an action."""
    for base in type(action).__mro__:
        for origin in getattr(base, "__orig_bases__", ()):
            for argument in get_args(origin):
                if isinstance(argument, type) and issubclass(argument, Reply):
                    return cast(type[ReplyT], argument)
    raise TypeError(f"{type(action).__name__} names no reply")
