"""Two cores with real mailboxes and a network that loses lines at any moment: whatever happens in which
order, what is delivered is on the recipient's disk, nothing is there twice, and the order is the writer's.
"""

import sqlite3
from collections import deque
from itertools import count
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shell import letters
from shell.events import Event, MessageArrived
from shell.line.core import LineCore
from shell.line.effects import (
    DeclineHeld,
    Dial,
    Effect,
    HangUp,
    KeepIncoming,
    KeepRead,
    KeepSeen,
    LineId,
    ReleaseHeld,
    SendFrames,
    Tell,
    Waits,
    WatchPresence,
)
from shell.line.errors import Blocked, KeyNotAccepted
from shell.line.model import Consent, MessageId, Outgoing, Rules, State
from shell.mailbox import SCHEMA, keep
from wire.certificates import Fingerprint
from wire.frames import LineClose, Read, Receipt, Text
from wire.names import NameKey

NAMES = ("alice", "bob")
KEYS = {"alice": Fingerprint(b"a" * 32), "bob": Fingerprint(b"b" * 32)}
"""Of the first day; `change_the_key` makes others."""
names = st.sampled_from(NAMES)


class Side:
    """One shell: a core, a mailbox, and what its person was shown."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.other = "bob" if name == "alice" else "alice"
        self.disk = sqlite3.connect(":memory:")
        self.disk.executescript(SCHEMA)
        self.shown: list[str] = []
        self.key = KEYS[name]
        self.dialing = False
        self.tells_read = True
        self.start()

    def start(self) -> None:
        self.dialing = False
        self.core = LineCore(
            self.key,
            letters.contacts(self.disk),
            letters.unsettled(self.disk),
            letters.requests(self.disk),
            Rules(tells_read=self.tells_read),
        )

    def stored(self, *, outgoing: bool) -> list[tuple[str, str]]:
        query = "SELECT text, state FROM messages WHERE outgoing = ? ORDER BY number"
        return self.disk.execute(query, (outgoing,)).fetchall()


class LineMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.sides = {name: Side(name) for name in NAMES}
        self.numbers = count(1)
        self.lines: dict[LineId, dict[str, deque[Text | Receipt | Read]]] = {}
        self.written: dict[str, list[str]] = {name: [] for name in NAMES}
        self.carried: dict[LineId, dict[str, list[bytes]]] = {}
        self.declining = False

    # --- the world --------------------------------------------------------------------------------------

    def carry_out(self, side: Side, effects: list[Effect]) -> None:
        """As `shell.line.line` does it: commit, then act, then what the disk said."""
        queue = effects
        while queue:
            follow: list[Effect] = []
            answers: list[tuple[Any, Any]] = []
            acts: list[Effect] = []
            for effect in queue:
                if isinstance(effect, SendFrames | Dial | HangUp | WatchPresence | Waits | Tell):
                    acts.append(effect)
                else:
                    answers.append((effect, keep(side.disk, effect)))
            for act in acts:
                self.act(side, act)
            for effect, answer in answers:
                match effect:
                    case KeepIncoming(message, line, _):
                        follow += side.core.incoming_kept(message, answer, line)
                    case KeepRead(peer):
                        follow += side.core.read(peer, answer)
                    case KeepSeen(peer):
                        follow += side.core.seen(peer, answer)
                    case ReleaseHeld(peer):
                        follow += side.core.held_released(peer, answer, self.now)
                    case DeclineHeld(peer, silent):
                        follow += side.core.held_declined(peer, answer, self.now, silent=silent)
                    case _:
                        pass
            queue = follow

    def act(self, side: Side, effect: Effect) -> None:
        match effect:
            case SendFrames(line, frames):
                if line in self.lines:
                    self.lines[line][side.other].extend(frames)
                    self.carried[line][side.other] += [
                        frame.id for frame in frames if isinstance(frame, Text)
                    ]
            case Dial():
                assert not side.dialing, "dialed twice at once"
                side.dialing = True
            case HangUp(line, code):
                self.drop(line, code, by=side)
            case Tell(event):
                self.show(side, event)
            case _:
                pass

    def show(self, side: Side, event: Event) -> None:
        if isinstance(event, MessageArrived):
            assert event.text not in side.shown, "shown twice"
            contact = side.core.contact(side.other)
            assert contact is not None
            assert contact.consent is Consent.ACCEPTED, "shown without consent"
            side.shown.append(event.text)

    def drop(self, line: LineId, code: LineClose | None, by: Side | None = None) -> None:
        if self.lines.pop(line, None) is not None:
            for side in self.sides.values():
                if side is not by:
                    self.carry_out(side, side.core.line_closed(line, code, self.now))

    def connect(self, caller: Side) -> None:
        caller.dialing = False
        callee = self.sides[caller.other]
        if not callee.core.may_call(caller.name):  # the phone book says that they are offline
            effects = caller.core.dial_failed(callee.name, "", self.now, offline=True)
            self.carry_out(caller, effects)
            return
        allowed, effects = caller.core.may_dial(callee.name, callee.key)
        self.carry_out(caller, effects)
        if not allowed:
            effects = caller.core.dial_failed(callee.name, "the key changed", self.now, offline=False)
            self.carry_out(caller, effects)
            return
        line = next(self.numbers)
        self.lines[line] = {name: deque() for name in NAMES}
        self.carried[line] = {name: [] for name in NAMES}
        for side, calling in ((callee, False), (caller, True)):
            if line in self.lines:
                effects = side.core.line_opened(
                    line, side.other, self.sides[side.other].key, calling=calling, now=self.now
                )
                self.carry_out(side, effects)
            elif calling:  # the callee hung up before the caller heard that the line was there
                self.carry_out(side, side.core.dial_failed(side.other, "", self.now, offline=False))

    def deliver(self, line: LineId, to: Side) -> None:
        frames = self.lines[line][to.name]
        if frames:
            effects = to.core.received(line, frames.popleft(), self.now)
            contact = to.core.contact(to.other)
            trusted = contact is not None and contact.pinned == self.sides[to.other].key
            assert trusted or not effects, "something passed under a key that is not pinned"
            self.carry_out(to, effects)

    # --- what may happen --------------------------------------------------------------------------------

    @rule(name=names)
    def write(self, name: str) -> None:
        side = self.sides[name]
        text = f"{name} {len(self.written[name])}"
        message = Outgoing(MessageId(next(self.numbers).to_bytes(16)), NameKey(side.other), text, self.now)
        try:
            effects = side.core.write(side.other, message, self.now)
        except (Blocked, KeyNotAccepted):
            return
        self.written[name].append(text)
        self.carry_out(side, effects)

    @precondition(lambda self: any(side.dialing for side in self.sides.values()))
    @rule()
    def answer_the_call(self) -> None:
        for side in self.sides.values():
            if side.dialing:
                self.connect(side)

    @precondition(lambda self: any(side.dialing for side in self.sides.values()))
    @rule(name=names, offline=st.just(value=False))
    def fail_the_call(self, name: str, offline: bool) -> None:
        side = self.sides[name]
        if side.dialing:
            side.dialing = False
            self.carry_out(side, side.core.dial_failed(side.other, "", self.now, offline=offline))

    def waiting_frames(self) -> list[tuple[LineId, str]]:
        return [(line, name) for line, queues in self.lines.items() for name in NAMES if queues[name]]

    @precondition(lambda self: self.waiting_frames())
    @rule(data=st.data(), number=st.integers(1, 5))
    def arrive(self, data: st.DataObject, number: int) -> None:
        line, name = data.draw(st.sampled_from(self.waiting_frames()))
        for _ in range(number):
            if line in self.lines:
                self.deliver(line, self.sides[name])

    @precondition(lambda self: self.lines)
    @rule()
    def everything_arrives(self) -> None:
        for line, name in self.waiting_frames():
            while line in self.lines and self.lines[line][name]:
                self.deliver(line, self.sides[name])

    @precondition(lambda self: self.lines)
    @rule(data=st.data())
    def lose_a_line(self, data: st.DataObject) -> None:
        self.drop(data.draw(st.sampled_from(sorted(self.lines))), None)

    @rule(name=names)
    def crash_and_restart(self, name: str) -> None:
        side = self.sides[name]
        side.start()
        for line in list(self.lines):
            self.drop(line, None, by=side)

    @rule(name=names)
    def look(self, name: str) -> None:
        side = self.sides[name]
        self.carry_out(side, side.core.looked_at(side.other))

    @rule(name=names, tells=st.booleans())
    def restart_with_another_setting(self, name: str, tells: bool) -> None:
        self.sides[name].tells_read = tells
        self.crash_and_restart(name)

    @rule(name=names)
    def accept(self, name: str) -> None:
        side = self.sides[name]
        self.carry_out(side, side.core.accept(side.other, self.now))

    @rule(name=names)
    def block(self, name: str) -> None:
        side = self.sides[name]
        self.declining = True
        self.carry_out(side, side.core.block(side.other))

    @rule(name=names)
    def unblock(self, name: str) -> None:
        side = self.sides[name]
        self.carry_out(side, side.core.unblock(side.other))

    @rule(name=names)
    def change_the_key(self, name: str) -> None:
        self.sides[name].key = Fingerprint(next(self.numbers).to_bytes(32))
        self.crash_and_restart(name)

    def accept_presented(self, side: Side) -> None:
        contact = side.core.contact(side.other)
        if contact is not None and contact.presented is not None:
            self.carry_out(side, side.core.accept_key(side.other, contact.presented, self.now))

    @rule(name=names)
    def accept_the_key(self, name: str) -> None:
        self.accept_presented(self.sides[name])

    @rule(name=names)
    def decline(self, name: str) -> None:
        side = self.sides[name]
        self.declining = True
        self.carry_out(side, side.core.decline(side.other))

    @rule(seconds=st.sampled_from([0.1, 1.0, 15.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        for side in self.sides.values():
            self.carry_out(side, side.core.tick(self.now))

    @rule(name=names, online=st.booleans())
    def hear_of_presence(self, name: str, online: bool) -> None:
        side = self.sides[name]
        self.carry_out(side, side.core.presence(side.other, online=online, now=self.now))

    @rule(name=names)
    def lose_the_phone_book(self, name: str) -> None:
        side = self.sides[name]
        self.carry_out(side, side.core.book_lost(self.now))

    @rule(name=names)
    def have_the_phone_book_back(self, name: str) -> None:
        side = self.sides[name]
        self.carry_out(side, side.core.book_back(self.now))

    # --- what must hold ---------------------------------------------------------------------------------

    @invariant()
    def what_is_delivered_is_on_the_recipients_disk(self) -> None:
        for side in self.sides.values():
            kept = dict(self.sides[side.other].stored(outgoing=False))
            for text, state in side.stored(outgoing=True):
                if state in (State.DELIVERED.value, State.READ.value):
                    assert kept[text] == letters.RECEIVED

    @invariant()
    def what_is_read_was_looked_at(self) -> None:
        for side in self.sides.values():
            query = "SELECT text FROM messages WHERE outgoing = 0 AND seen = 1"
            seen = {text for (text,) in self.sides[side.other].disk.execute(query)}
            assert {text for text, state in side.stored(outgoing=True) if state == "read"} <= seen

    @invariant()
    def no_line_carries_a_message_twice(self) -> None:
        for queues in self.carried.values():
            for ids in queues.values():
                assert len(ids) == len(set(ids))

    @invariant()
    def what_was_written_is_on_the_writers_disk(self) -> None:
        for name, side in self.sides.items():
            assert [text for text, _ in side.stored(outgoing=True)] == self.written[name]

    @invariant()
    def order_and_number_are_the_writers(self) -> None:
        for side in self.sides.values():
            kept = [text for text, _ in side.stored(outgoing=False)]
            if not self.declining:
                assert kept == self.written[side.other][: len(kept)] or kept == [""] * len(kept)

    def teardown(self) -> None:
        """Peace: both are there, accept each other, and the network is good. Everything arrives."""
        for side in self.sides.values():
            self.carry_out(side, side.core.accept(side.other, self.now))
            self.accept_presented(side)
        for name in NAMES:
            self.write(name)  # on the line for it, held messages learn what became of them
        for _ in range(500):
            self.now += 20.0
            for side in self.sides.values():
                self.accept_presented(side)
                self.carry_out(side, side.core.presence(side.other, online=True, now=self.now))
                if side.dialing:
                    self.connect(side)
            moving = True
            while moving:
                moving = False
                for line in list(self.lines):
                    for side in self.sides.values():
                        while line in self.lines and self.lines[line][side.name]:
                            moving = True
                            self.deliver(line, side)
            if not any(side.core.undelivered() for side in self.sides.values()) and not any(
                side.core.requests() for side in self.sides.values()
            ):
                break
            for side in self.sides.values():
                self.carry_out(side, side.core.tick(self.now))
        for name, side in self.sides.items():
            final = dict(side.stored(outgoing=True))
            settled = {State.DELIVERED.value, State.READ.value, State.REFUSED.value}
            assert set(final.values()) <= settled, final
            kept = [text for text, state in self.sides[side.other].stored(outgoing=False) if text]
            delivered = [text for text, state in final.items() if state != State.REFUSED.value]
            assert kept == delivered, name
            if not self.declining:
                assert delivered == self.written[name]


TestLine = LineMachine.TestCase
TestLine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
