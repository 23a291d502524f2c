import asyncio
import contextlib

import pytest

from antiphon.testing import cancel_at_every_step


async def orderly():
    async with asyncio.TaskGroup() as group:
        for seconds in (1, 2, 3):
            group.create_task(asyncio.sleep(seconds))


def test_a_scenario_that_can_be_cancelled_anywhere():
    assert cancel_at_every_step(orderly) >= 4


def test_a_scenario_without_a_line_that_waits():
    async def at_once():
        pass

    assert cancel_at_every_step(at_once) == 0


def test_a_swallowed_cancellation_is_found():
    async def deaf():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(1)

    with pytest.raises(AssertionError, match="step 1: cancelled, but it went on to its end"):
        cancel_at_every_step(deaf)


def test_an_end_that_takes_too_long_is_found():
    async def slow():
        try:
            await asyncio.sleep(1)
        finally:
            await asyncio.sleep(5)

    with pytest.raises(AssertionError, match="took 5 s to end"):
        cancel_at_every_step(slow, within=1.0)


def test_a_task_that_is_left_alive_is_found():
    async def careless():
        loop = asyncio.get_running_loop()
        kept.append(loop.create_task(asyncio.sleep(100)))
        await asyncio.sleep(1)
        kept.pop().cancel()
        await asyncio.sleep(0)

    kept = []
    with pytest.raises(AssertionError, match="still alive"):
        cancel_at_every_step(careless)
