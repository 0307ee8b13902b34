"""Sends each line of standard input to somebody, and prints what they write back.

tail -F app.log | PARLEY_PASSWORD=... python examples/stdin_bridge.py HOST watcher alice FOLDER
"""

import asyncio
import os
import sys

from shell.api import Entered, MessageArrived, RequestArrived, enter, safe

LAST_WORDS = 10.0  # seconds after the end of input for the last line to be delivered


async def lines_out(me: Entered, person: str) -> None:
    """Until the end of input; reading blocks, so it has a thread."""
    while line := await asyncio.to_thread(sys.stdin.readline):
        if line.strip():
            await me.send(person, line.rstrip("\n"), patience=LAST_WORDS)


async def words_in(me: Entered, person: str) -> None:
    """What they write, made safe for a terminal."""
    async for event in me:
        match event:
            case RequestArrived(name) if name == person:
                await me.accept(name)
            case MessageArrived(name, text) if name == person:
                print(safe(text, keep_newlines=True), flush=True)


async def main(server: str, user: str, person: str, folder: str) -> None:
    async with enter(user, os.environ["PARLEY_PASSWORD"], server=server, data=folder, signup=True) as me:
        listening = asyncio.create_task(words_in(me, person))
        await lines_out(me, person)
        listening.cancel()


asyncio.run(main(*sys.argv[1:]))
