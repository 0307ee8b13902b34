"""Calls that are coming up: knocking at somebody's addresses, and opening the door to whoever may call.

A knock must carry the id of an invitation, and an Initial must come from where such a knock came from;
anything else costs a look into a table. A callee to whom the phone book announced a caller sends as well, to
the caller's addresses: that opens its NAT.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable
from time import monotonic

from shell.line.candidates import Address, Attempt, Candidate
from shell.line.errors import WHAT_HELPS, Unreachable
from shell.line.invitations import MAX_ANNOUNCED, Admission, Invitation, Invitations
from wire.frames import NONCE_BYTES, Probe, ProbeKind
from wire.limits import TICKET_LIFE
from wire.names import name_key

MAX_CALLERS = 1024  # addresses that knocked with a ticket and may dial; beyond, the oldest goes
MAX_PUNCHING = 64  # announced callers to whom this side sends at once; the others must get here by themselves


class Doors:
    """Lives on the event loop's thread."""

    def __init__(
        self, send: Callable[[bytes, Address], None], candidate_at: Callable[[Address], Candidate]
    ) -> None:
        self._send = send
        self._candidate_at = candidate_at
        self._dialed: dict[bytes, tuple[str, Attempt, asyncio.Event]] = {}
        self._awaited: dict[bytes, tuple[str, Attempt]] = {}
        self._announced: dict[bytes, Attempt] = {}
        self._invitations = Invitations()
        self._callers: dict[Address, float] = {}

    # --- dialing ----------------------------------------------------------------------------------------

    async def reach(self, admission: Admission, attempt: Attempt) -> tuple[Candidate, bytes]:
        """Knocks until an address of the callee answers: which, and the nonce to sign.

        Raises `Unreachable`.
        """
        knock = Probe(ProbeKind.KNOCK, admission.id, bytes(NONCE_BYTES)).encode()
        changed = asyncio.Event()
        self._dialed[admission.id] = admission.callee, attempt, changed
        try:
            while True:
                changed.clear()
                now = monotonic()
                chosen = attempt.chosen(now)
                if chosen is not None:
                    return chosen
                if attempt.over(now):
                    raise Unreachable(_silence(attempt))
                for address in attempt.due(now):
                    self._send(knock, address)
                await _changed_or(changed, attempt.wake() - monotonic())
        finally:
            attempt.settled = True
            del self._dialed[admission.id]

    # --- answering --------------------------------------------------------------------------------------

    def invite(self, admission: Admission, attempt: Attempt) -> None:
        """Lets the caller of a verified ticket knock, and sends to its addresses meanwhile."""
        self._invitations.announce(admission, secrets.token_bytes(NONCE_BYTES), monotonic() + TICKET_LIFE)
        while len(self._announced) >= MAX_ANNOUNCED:
            del self._announced[next(iter(self._announced))]
        self._announced[admission.id] = attempt
        if len(self._awaited) < MAX_PUNCHING:
            self._awaited[admission.id] = admission.caller, attempt
            self._punch(admission.id)

    def stand(self, admissions: Iterable[Admission], expires: float) -> None:
        """Lets these contacts knock until then (monotonic seconds), and no others from now on."""
        self._invitations.stand(
            Invitation(admission, secrets.token_bytes(NONCE_BYTES), expires) for admission in admissions
        )

    def redeem(self, knock_id: bytes, signed: bytes) -> Invitation | None:
        """The invitation for a knock id and a signed ticket, which is good for one line."""
        fresh = secrets.token_bytes(NONCE_BYTES)
        invitation = self._invitations.redeem(knock_id, signed, fresh, monotonic())
        awaited = self._awaited.pop(knock_id, None) if invitation is not None else None
        if awaited is not None:
            awaited[1].settled = True
        return invitation

    def candidates_of(self, knock_id: bytes) -> tuple[Candidate, ...]:
        """Where the caller who has come in with this may be reached; told once."""
        attempt = self._announced.pop(knock_id, None)
        return attempt.candidates() if attempt is not None else ()

    def may_call(self, address: Address) -> bool:
        """Whether somebody knocked from this address with a ticket."""
        return self._callers.get(address, 0.0) >= monotonic()

    # --- both -------------------------------------------------------------------------------------------

    def moved(self, name: str, candidates: Iterable[Candidate]) -> None:
        """Somebody who is being called, or is about to call, can be reached at these addresses too."""
        found = tuple(candidates)
        for peer, attempt, changed in self._dialed.values():
            if name_key(peer) == name_key(name):
                attempt.add_all(found)
                changed.set()
        for peer, attempt in self._awaited.values():
            if name_key(peer) == name_key(name):
                attempt.add_all(found)

    def probed(self, probe: Probe, address: Address) -> None:
        """A probe came from anywhere."""
        match probe.kind:
            case ProbeKind.KNOCK:
                self._knocked(probe, address)
            case ProbeKind.ANSWER | ProbeKind.PUNCH:
                dialed = self._dialed.get(probe.ticket_id)
                if dialed is None:
                    return
                _, attempt, changed = dialed
                candidate = self._candidate_at(address)
                if probe.kind is ProbeKind.PUNCH:
                    attempt.punched(candidate)
                else:
                    attempt.answered(candidate, probe.nonce, monotonic())
                changed.set()

    def _knocked(self, probe: Probe, address: Address) -> None:
        now = monotonic()
        invitation = self._invitations.find(probe.ticket_id, now)
        if invitation is None:
            return
        self._callers.pop(address, None)
        while len(self._callers) >= MAX_CALLERS:
            del self._callers[next(iter(self._callers))]
        self._callers[address] = min(invitation.expires, now + TICKET_LIFE)
        self._send(Probe(ProbeKind.ANSWER, probe.ticket_id, invitation.nonce).encode(), address)

    def _punch(self, ticket_id: bytes) -> None:
        awaited = self._awaited.get(ticket_id)
        if awaited is None:
            return
        _, attempt = awaited
        now = monotonic()
        if attempt.over(now):
            attempt.settled = True
            del self._awaited[ticket_id]
            return
        punch = Probe(ProbeKind.PUNCH, ticket_id, bytes(NONCE_BYTES)).encode()
        for address in attempt.due(now):
            self._send(punch, address)
        delay = max(0.0, attempt.wake() - now)
        asyncio.get_running_loop().call_later(delay, self._punch, ticket_id)


async def _changed_or(changed: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await changed.wait()
    except TimeoutError:
        pass


def _silence(attempt: Attempt) -> str:
    if attempt.empty:
        return "The other shell has published no endpoint."
    where = ", ".join(str(tried.candidate) for tried in attempt.tried())
    return f"No answer from {where} within {attempt.patience:g} s. What usually helps: {WHAT_HELPS}."
