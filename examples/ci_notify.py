"""Runs a command and tells people how it went; ends with the command's exit code.

PARLEY_PASSWORD=... python examples/ci_notify.py --server HOST --user ci --to alice --to bob -- make test
"""

import argparse
import asyncio
import os
import sys
from collections import deque
from time import monotonic

from shell.api import LineError, Refused, ShellError, WireError, enter

TAIL = 10  # lines of output that a failure is told with
PATIENCE = 10.0  # seconds for a message to be delivered; after that it waits on this disk


async def run(command: list[str]) -> tuple[int, list[str]]:
    """The exit code and the last lines of what it said, which is shown here as well."""
    program = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    assert program.stdout is not None
    last: deque[str] = deque(maxlen=TAIL)
    async for line in program.stdout:
        sys.stdout.buffer.write(line)
        sys.stdout.flush()
        last.append(line.decode(errors="replace").rstrip())
    return await program.wait(), list(last)


async def main(options: argparse.Namespace) -> int:
    began = monotonic()
    code, said = await run(options.command)
    took = f"{monotonic() - began:.0f} s"
    name = " ".join(options.command)
    text = (
        f"{name} passed in {took}." if code == 0 else "\n".join([f"{name} FAILED ({code}) in {took}:", *said])
    )
    try:
        async with enter(
            options.user, os.environ["PARLEY_PASSWORD"], server=options.server, data=options.data, signup=True
        ) as me:
            for person in options.to:
                state = await me.send(person, text, patience=PATIENCE)
                print(f"{person}: {state.value}", file=sys.stderr)
    except (Refused, WireError, ShellError, LineError) as error:
        print(f"Nobody was told: {error}", file=sys.stderr)  # a job does not fail for that
    return code


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Run a command and tell people how it went.")
    parser.add_argument("--server", required=True, help="the phone book, HOST or HOST:PORT")
    parser.add_argument("--user", required=True, help="the account that tells")
    parser.add_argument("--data", help="its folder of keys and messages")
    parser.add_argument("--to", action="append", required=True, help="whom; may be repeated")
    parser.add_argument("command", nargs="+", help="after --")
    sys.exit(asyncio.run(main(parser.parse_args())))
