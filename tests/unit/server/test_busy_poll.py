"""When the event loop stays awake after an answer."""

import asyncio
import math

import pytest

from server.busy_poll import BusyPoll


def is_awake(poll: BusyPoll) -> bool:
    return poll.awake


async def turns(number: int = 3) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


def test_the_loop_stays_awake_after_one_answer_until_its_time_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> None:
        poll = BusyPoll()
        monkeypatch.setattr("server.busy_poll.AWAKE", math.inf)
        poll.answered()
        await turns(100)
        assert is_awake(poll)
        monkeypatch.setattr("server.busy_poll.AWAKE", 0.0)
        poll.answered()
        await turns()
        assert not is_awake(poll)
        poll.answered()
        assert is_awake(poll)

    asyncio.run(run())


def test_it_steps_aside_while_a_thread_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.busy_poll.AWAKE", math.inf)

    async def run() -> None:
        poll = BusyPoll()
        poll.answered()
        await turns()
        assert is_awake(poll)
        poll.waits()
        await turns()
        assert not is_awake(poll)
        poll.answered()
        assert not is_awake(poll)
        poll.served()
        poll.answered()
        assert is_awake(poll)

    asyncio.run(run())


def test_it_steps_aside_where_many_are_answered_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.busy_poll.AWAKE", math.inf)

    async def run() -> None:
        poll = BusyPoll()
        for _ in range(2):
            poll.answered()
        await turns()
        assert not is_awake(poll)
        poll.answered()
        await turns()
        assert is_awake(poll)
        for _ in range(2):
            poll.answered()
        await turns()
        assert not is_awake(poll)

    asyncio.run(run())
