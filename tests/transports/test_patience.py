import asyncio

import pytest

from antiphon.transports.patience import Patience


def now():
    return asyncio.get_running_loop().time()


async def test_a_wait_that_is_short_enough_is_left_alone():
    patience = Patience(2.0)
    for _ in range(10):
        await patience.wait(asyncio.sleep(1.5))
    assert now() == 15.0
    patience.stop()


async def test_a_wait_that_takes_too_long_is_cut_off_exactly_then():
    patience = Patience(2.0)
    await patience.wait(asyncio.sleep(1.5))
    with pytest.raises(TimeoutError):
        await patience.wait(asyncio.sleep(10))
    assert now() == 3.5
    await patience.wait(asyncio.sleep(1))
    assert now() == 4.5
    assert asyncio.current_task().cancelling() == 0
    patience.stop()


async def test_many_waits_take_one_timer():
    patience, loop = Patience(2.0), asyncio.get_running_loop()
    before = loop.statistics().timers_fired
    for _ in range(1000):
        await patience.wait(asyncio.sleep(0))
    assert loop.statistics().timers_fired == before
    patience.stop()


async def test_cancellation_from_elsewhere_passes_through():
    patience = Patience(5.0)

    async def work():
        await patience.wait(asyncio.sleep(10))

    async with asyncio.TaskGroup() as group:
        task = group.create_task(work())
        await asyncio.sleep(1)
        task.cancel()
    assert task.cancelled()
    assert now() == 1.0
    patience.stop()


async def test_what_is_awaited_may_raise():
    async def fails():
        raise KeyError("x")

    patience = Patience(1.0)
    with pytest.raises(KeyError):
        await patience.wait(fails())
    patience.stop()
