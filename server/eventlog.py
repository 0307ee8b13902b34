"""What happened, as a line of the log."""

import logging

from server.effects import Happened

log = logging.getLogger("server.phonebook")

OFFENCES = frozenset(
    {
        "login-failed",
        "login-throttled",
        "passwd-failed",
        "signup-throttled",
        "requests-throttled",
        "bad-request",
        "too-slow",
        "handshake-failed",
        "connection-displaced",
        "connection-refused-address",
        "connection-refused-unproven",
    }
)
"""What an address does that may be worth a ban; `connection-refused-full` is nobody's fault."""


def log_event(event: Happened) -> None:
    """The address comes first, where a name cannot pose as one; `docs/fail2ban/` matches it."""
    level = logging.WARNING if event.what in OFFENCES else logging.INFO
    address = event.address or "-"
    log.log(level, "event=%s address=%s name=%r detail=%r", event.what, address, event.name, event.detail)
