"""How a change is told at the admin console, and the options that all changes share."""

from rich.text import Text

from server.actions import Changed
from shell.kit.command import Outcome
from wire.display import safe

MAX_NAMED = 20  # of those who were hit that a sentence names


class ShownChange(Outcome, frozen=True):
    """What a change did, or would do."""

    hit: tuple[str, ...]
    number: int | None
    """Of its entry in the journal; None where it was only tried."""
    undoable: bool
    codes: tuple[str, ...]
    message: str

    def render(self, *, plain: bool) -> Text:
        """Codes, a line each, and a sentence."""
        if self.number is None:
            return Text(
                f"This would hit {named(self.hit, len(self.hit))}." if self.hit else "This would hit nobody."
            )
        back = f" `undo {self.number}` takes it back." if self.undoable else ""
        return Text("\n".join((*self.codes, self.message + back)))


def changed(done: Changed, message: str) -> ShownChange:
    """What to say of a change: the sentence of a real one, whom a tried one would hit."""
    return ShownChange(done.hit, done.number, done.undoable, done.codes, message)


def named(names: tuple[str, ...], number: int) -> str:
    """Some of so many by name, the others by number."""
    left = f" and {number - MAX_NAMED:,} more" if number > MAX_NAMED else ""
    return f"{', '.join(map(safe, names[:MAX_NAMED]))}{left}"


def counted(number: int, one: str, many: str) -> str:
    """`1 person`, `2 people`."""
    return f"{number:,} {one if number == 1 else many}"
