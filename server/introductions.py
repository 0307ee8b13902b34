"""Introductions: two people are told of each other under one signed ticket, and for as long as it holds, of
each other's moves. Nothing here reads a clock, a socket or a disk; `server.directory` says who sees whom.
"""

from collections.abc import Callable

from server.account import Account
from server.directory import Directory
from server.effects import Effect, Push
from server.session import Session
from wire.errors import ErrorCode, Refused
from wire.limits import TICKET_LIFE
from wire.messages import Endpoint, Introduced, Introduction, Moved, Status
from wire.names import NameKey
from wire.tickets import Ticket

MAX_FRESH = 256  # people who are told when a session's endpoints change; the oldest goes
MAX_INTRODUCED = 10_000  # people whose endpoints one session may have learned


class Introductions:
    """Who was introduced to whom rests in their sessions."""

    def __init__(
        self,
        directory: Directory,
        sign: Callable[[Ticket], bytes],
        relay_passes: Callable[[NameKey, NameKey], tuple[bytes, bytes]],
    ) -> None:
        """`relay_passes` gives each of two people who are introduced a pass, empty without a relay."""
        self._directory = directory
        self._sign = sign
        self._relay_passes = relay_passes

    def introduce(
        self, caller: Session, account: Account, ticket_id: bytes, now: float
    ) -> tuple[Introduction, list[Effect]]:
        """Tells two people of each other, so that one may call the other; `now` is by the clock of tickets.

        Raises `Refused`, in the same words for somebody who is not visible as for somebody who is not there.
        """
        callee = self._directory.session_of(account.key)
        if callee is None or self._directory.status_for(caller.account.key, account.key) is Status.OFFLINE:
            raise Refused(ErrorCode.UNAVAILABLE, f"{account.name} is offline.")
        ticket = Ticket(
            ticket_id,
            caller.account.name,
            caller.account.fingerprint,
            callee.account.name,
            callee.account.fingerprint,
            now + TICKET_LIFE,
        )
        signed = self._sign(ticket)
        for one, other in ((caller, callee), (callee, caller)):
            if len(one.introduced) < MAX_INTRODUCED:
                one.introduced.add(other.account.key)
            while len(one.fresh) >= MAX_FRESH:
                del one.fresh[next(iter(one.fresh))]
            one.fresh[other.account.key] = ticket.expires
        passes = self._relay_passes(caller.account.key, callee.account.key)
        to_caller, to_callee = (
            Introduction(other.account.name, other.account.fingerprint, other.endpoints, signed, own)
            for other, own in zip((callee, caller), passes, strict=True)
        )
        return to_caller, [Push(callee.id, Introduced(to_callee))]

    def set_endpoints(self, session: Session, endpoints: tuple[Endpoint, ...], now: float) -> list[Effect]:
        """A shell can be reached elsewhere; whoever calls it, or is about to be called by it, is told.

        `now` is by the clock of tickets.
        """
        session.moves(endpoints)
        session.fresh = {key: until for key, until in session.fresh.items() if until > now}
        others = (self._directory.session_of(key) for key in session.fresh)
        moved = Moved(session.account.name, endpoints)
        return [Push(other.id, moved) for other in others if other is not None]
