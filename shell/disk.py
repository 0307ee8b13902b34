"""The way from the event loop to the disk: on another thread, and to its end."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def on_disk(work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Does this while the event loop goes on.

    Whoever is cancelled meanwhile is so once it is done: nothing goes on behind what is cleared up then.
    """
    doing = asyncio.get_running_loop().run_in_executor(None, partial(work, *arguments, **options))
    cancelled: asyncio.CancelledError | None = None
    while not doing.done():
        try:
            await asyncio.wait({doing})
        except asyncio.CancelledError as error:  # it may come again while a disk takes its time
            cancelled = error
    if cancelled is not None:
        doing.exception()  # looked at, as nobody will hear of it
        raise cancelled
    return doing.result()


async def opened(opening: Callable[[], T], close: Callable[[T], object]) -> T:
    """The same for what must be closed where whoever wanted it is cancelled meanwhile."""
    made: list[T] = []
    try:
        await on_disk(lambda: made.append(opening()))
    except asyncio.CancelledError:
        for thing in made:
            await on_disk(close, thing)
        raise
    return made[0]
