"""A shell without its prompt, for tests that kill it: writes messages, and shows what arrives in a file.

It writes from where its disk says that it was stopped, and goes on until it is killed.
"""

import argparse
import asyncio
import os
import random
from pathlib import Path

from shell.datafolder import DataFolder
from shell.events import Event, MessageArrived
from shell.messenger import Messenger
from wire.errors import ErrorCode, Refused

PASSWORD = "correct horse battery"
PACE = 0.01  # seconds between two messages, at most


async def talk(server: str, folder: Path, name: str, other: str, count: int) -> None:
    screen = os.open(folder.with_suffix(".screen"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def tell(event: Event) -> None:
        if isinstance(event, MessageArrived):
            os.write(screen, f"{event.text}\n".encode())

    messenger = Messenger(server, DataFolder(folder), 0, tell)
    await messenger.reach()
    try:
        await messenger.signup(name, PASSWORD)
    except Refused as error:
        if error.code != ErrorCode.NAME_TAKEN:
            raise
        await messenger.login(name, PASSWORD)
    await messenger.accept(other)
    written = await messenger.mailbox.read(
        lambda connection: connection.execute("SELECT count(*) FROM messages WHERE outgoing = 1").fetchone()[
            0
        ]
    )
    while written < count:
        await messenger.line.write(other, f"{name} {written}")
        written += 1
        await asyncio.sleep(random.uniform(0, PACE))
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    for argument in ("server", "folder", "name", "other"):
        parser.add_argument(argument)
    parser.add_argument("count", type=int)
    given = parser.parse_args()
    asyncio.run(talk(given.server, Path(given.folder), given.name, given.other, given.count))
