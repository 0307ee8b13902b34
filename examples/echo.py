"""Says back what it hears. PARLEY_PASSWORD=... python examples/echo.py HOST NAME FOLDER"""

import asyncio
import os
import sys

from shell.api import MessageArrived, RequestArrived, enter


async def main(server: str, bot: str, folder: str) -> None:
    async with enter(bot, os.environ["PARLEY_PASSWORD"], server=server, data=folder, signup=True) as me:
        async for event in me:
            match event:
                case RequestArrived(name):
                    await me.accept(name)
                case MessageArrived(name, text):
                    await me.send(name, text)


asyncio.run(main(*sys.argv[1:]))
