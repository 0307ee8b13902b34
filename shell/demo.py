"""`parley demo`: the whole product in one terminal. Plays a scene, then hands over a live shell."""

import asyncio
import signal
import sys
import time
from importlib.resources import as_file, files
from itertools import cycle

from shell.app import Shell
from shell.datafolder import DataFolder
from shell.events import Event, MessageArrived, RequestArrived
from shell.host import Town
from shell.kit.player import play
from shell.kit.transcript import PROMPT
from shell.messenger import Messenger

GUEST, HOST = "you", "bob"
ENDED = 143  # exit code: 128 + SIGTERM
TYPING = 0.02  # seconds between characters on a terminal, so that eyes can follow
ANSWERS = (
    "Hello! Your words came straight to me over UDP; the phone book never saw them.",
    "Try `whois bob`, then `verify bob` for our safety number.",
    "`chat bob` makes every line a message; /end or Ctrl-D ends it.",
    "`history bob` shows what we said, `search WORD` finds it, `help` lists the rest.",
    "`quit` ends the demo. To talk to a friend: parley-server on one machine, parley --server HOST on both.",
)


def run_demo(*, plain: bool) -> int:
    """Plays the scene; on a terminal a live shell follows. The exit code."""
    # Ended from outside it cleans up as well.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(ENDED))
    on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    print("Parley demo: a phone book and two people, on loopback, in this process.\n")  # noqa: T201
    with as_file(files("shell") / "demo.transcript") as scene:
        failure = play(scene, Town(), _typed if on_terminal else _printed)
    if failure is not None:
        print(f"The demo did not go as written. {failure}", file=sys.stderr)  # noqa: T201
        return 1
    if on_terminal:
        return _live(plain=plain)
    print("\nThat was real TLS, real Argon2id, real QUIC over UDP. On a terminal a live shell follows.")  # noqa: T201
    return 0


def _live(*, plain: bool) -> int:
    """A shell for whoever watches, with somebody there to answer."""
    town = Town()
    friend = _Friend(town)
    app = Shell(town.settings_of(GUEST), plain=plain)
    try:
        app.bridge.call(friend.enter())
        app.call(app.messenger.signup(GUEST, Town.password or ""))
        app.intro = (
            f"\nNow it is your turn: you are logged in as {GUEST!r}, and {HOST!r} is online.\n"
            f"Type: msg {HOST} hello        (Tab completes, help lists everything, quit leaves)\n"
        )
        return app.interact()
    finally:
        try:
            app.bridge.call(friend.leave())
        finally:
            app.close()
            town.close()


class _Friend:
    """Somebody who accepts everybody and answers every message; lives on the shell's network thread."""

    def __init__(self, town: Town) -> None:
        settings = town.settings_of(HOST)
        self._messenger = Messenger(settings.server, DataFolder(town.folder / HOST), 0, self._heard)
        self._answers = cycle(ANSWERS)
        self._replies: set[asyncio.Task[None]] = set()

    async def enter(self) -> None:
        await self._messenger.signup(HOST, Town.password or "")

    async def leave(self) -> None:
        for reply in self._replies:
            reply.cancel()
        await self._messenger.close()

    def _heard(self, event: Event) -> None:
        if isinstance(event, RequestArrived | MessageArrived):
            reply = asyncio.get_running_loop().create_task(self._reply(event))
            self._replies.add(reply)
            reply.add_done_callback(self._replies.discard)

    async def _reply(self, event: RequestArrived | MessageArrived) -> None:
        if isinstance(event, RequestArrived):
            await self._messenger.accept(event.name)
        else:
            await self._messenger.line.write(event.name, next(self._answers))


def _printed(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _typed(text: str) -> None:
    """Lines that somebody types appear as if they were typed."""
    found = PROMPT.match(text.rstrip("\n"))
    if found is None:
        _printed(text)
        return
    _printed(f"{found['name']}> ")
    for character in f"{found['typed'] or ''}\n":
        _printed(character)
        time.sleep(TYPING)
