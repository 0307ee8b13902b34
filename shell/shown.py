"""Which keys the person at this console was shown: what they compared is what they accept. Pure."""

from wire.certificates import Fingerprint
from wire.names import NameKey


class ShownKeys:
    """One key of each person, the last one that could have been compared."""

    def __init__(self) -> None:
        self._shown: dict[NameKey, Fingerprint] = {}

    def of(self, name: NameKey) -> Fingerprint | None:
        """The key of somebody that was shown; None where none was."""
        return self._shown.get(name)

    def looked_at(self, name: NameKey, key: Fingerprint) -> None:
        """The person asked to see it."""
        self._shown[name] = key

    def warned_of(self, name: NameKey, pinned: bytes, key: Fingerprint) -> None:
        """A warning showed it. It takes no place of another new key, which may just be being accepted."""
        if self._shown.get(name, pinned) == pinned:
            self._shown[name] = key
