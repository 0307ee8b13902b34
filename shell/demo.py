"""`parley demo`: the whole product in one terminal. Plays a scene, then hands over a live shell."""

import asyncio
import signal
import sys
import time
from importlib.resources import as_file, files
from itertools import cycle

from shell.api import MessageArrived, RequestArrived, enter
from shell.app import Shell
from shell.host import Town
from shell.kit.player import play
from shell.kit.transcript import PROMPT
from shell.settings import ShellSettings

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
        failure = play(scene, Town(), _typed if on_terminal else _printed, styled=on_terminal and not plain)
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
    app = Shell(town.settings_of(GUEST), plain=plain)
    try:
        friend = app.bridge.call(_begin(town.settings_of(HOST)))
        try:
            app.call(app.messenger.signup(GUEST, Town.password or ""))
            app.intro = (
                f"\nNow it is your turn: you are logged in as {GUEST!r}, and {HOST!r} is online.\n"
                f"Type: msg {HOST} hello        (Tab completes, help lists everything, quit leaves)\n"
            )
            return app.interact()
        finally:
            app.bridge.call(_end(friend))
    finally:
        app.close()
        town.close()


async def _begin(settings: ShellSettings) -> asyncio.Task[None]:
    there = asyncio.Event()
    task = asyncio.create_task(_answer_all(settings, there), name=HOST)
    await there.wait()
    return task


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _answer_all(settings: ShellSettings, there: asyncio.Event) -> None:
    """Somebody who accepts everybody and answers every message."""
    answers = cycle(ANSWERS)
    password = Town.password or ""
    async with enter(HOST, password, server=settings.server, data=settings.data, signup=True) as friend:
        there.set()
        async for event in friend:
            match event:
                case RequestArrived(name):
                    await friend.accept(name)
                case MessageArrived(name):
                    await friend.send(name, next(answers))


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
