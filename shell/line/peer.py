"""What the line's core remembers of one person while the shell runs."""

from dataclasses import dataclass, field

from shell.line.effects import LineId
from shell.line.model import Contact
from shell.line.outbox import Outbox


@dataclass(slots=True)
class OpenLine:
    """A proven line."""

    id: LineId
    calling: bool
    """Whether this side dialed it."""
    opened: float
    """Monotonic seconds."""
    heard: float = 0.0
    """When a frame came last, monotonic seconds."""
    useful: bool = False
    """Whether a receipt came on it."""
    deaf_since: float | None = None
    """When the disk refused what came on it, monotonic seconds: what follows would be shown before it."""


@dataclass(slots=True)
class Peer:
    """Somebody, the messages that wait for them, and the line to them."""

    contact: Contact
    kept: Contact
    """As the disk has it."""
    outbox: Outbox = field(default_factory=Outbox)
    line: OpenLine | None = None
    dialing: bool = False
    online: bool | None = None
    """As the phone book says; None while that is not known."""
    failures: int = 0
    """Attempts to reach them that failed since the last line."""
    retry_at: float = 0.0
    """Monotonic seconds before which they are not dialed again."""
    useless: int = 0
    """Lines in a row that ended soon and brought no receipt."""
    held: int = 0
    """Their messages that wait for consent."""
    holding: int = 0
    """Their messages that are on their way to the disk, to be held there."""
    requested: int = 0
    """Numbers requests in the order in which they came; of the last one."""
    overflowed: bool = False
    """Whether they wrote more than may be held: their writer has the rest."""
    pushed_out: bool = False
    """Whether their request made room for another: their line ends once they know."""
    owes_receipts: bool = False
    """Whether they must be told what became of held messages."""
    files_wait: bool = False
    """Whether a file would move if there were a line."""

    def on(self, line: LineId) -> OpenLine | None:
        """The line to them, if it is this one."""
        return self.line if self.line is not None and self.line.id == line else None
