from __future__ import annotations

import asyncio
import inspect
import itertools
import math

import pytest

from antiphon.errors import UsageError
from antiphon.testing import (
    Deadlock,
    Livelock,
    TimeLimitReached,
    VirtualLoop,
    run,
)
from antiphon.testing.task_report import describe_callback, describe_tasks

# These tests look at loops from the outside, so they are plain functions.


def now() -> float:
    return asyncio.get_running_loop().time()


def test_tasks_are_told_by_number_and_callbacks_by_name():
    async def main():
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(asyncio.sleep(0), name=f"call-{n}") for n in (10, 2, 1)]
        told = [text.partition(",")[0] for text in describe_tasks(tasks)]
        await asyncio.wait(tasks)
        assert "done" in describe_tasks(tasks)[0]
        return told, describe_callback(loop.call_soon(print))

    told, callback = run(main)
    assert told == ["task 'call-1'", "task 'call-2'", "task 'call-10'"]
    assert "print" in callback


def line_of(function: object, text: str) -> int:
    lines, first = inspect.getsourcelines(function)
    return first + next(number for number, line in enumerate(lines) if text in line)


async def wait_for_words(queue: asyncio.Queue[str]):
    async for _ in words(queue):
        pass


async def words(queue: asyncio.Queue[str]):
    while True:
        yield await queue.get()


def test_a_deadlock_names_every_task_with_its_coroutine_and_line():
    async def main():
        async with asyncio.TaskGroup() as group:
            group.create_task(wait_for_words(asyncio.Queue()), name="listener")
            group.create_task(asyncio.Event().wait(), name="waiter")
            await asyncio.sleep(1.5)

    with pytest.raises(Deadlock) as caught:
        run(main)
    error = caught.value
    assert isinstance(error, UsageError)
    assert error.now == 1.5
    assert "at 1.5 s" in str(error)
    body, waiter, listener = (
        next(task for task in error.tasks if name in task)
        for name in ("run.<locals>.body", "waiter", "listener")
    )
    assert len(error.tasks) == 3
    assert all(task in str(error) for task in error.tasks)
    assert "task 'waiter', Event.wait()" in waiter
    assert f"{__file__}:{line_of(wait_for_words, 'async for')} in wait_for_words" in listener
    assert f"{__file__}:{line_of(words, 'queue.get')} in words: yield await queue.get()" in listener
    assert "in Queue.get" in listener.splitlines()[-1]
    assert f":{line_of(main, 'async with')} in " in body


def test_a_wait_for_infinity_is_a_deadlock():
    async def main():
        await asyncio.sleep(1)
        await asyncio.sleep(math.inf)

    with pytest.raises(Deadlock, match=r"at 1\.0 s"):
        run(main)


def test_a_deadlock_cannot_be_swallowed_and_clean_up_still_runs():
    trace = []

    async def main():
        try:
            await asyncio.Event().wait()
        except Exception:  # noqa: BLE001 - that is what must not catch it
            trace.append("swallowed")
        finally:
            await asyncio.sleep(2)
            trace.append(now())

    with pytest.raises(Deadlock):
        run(main)
    assert trace == [2.0]


def test_an_empty_loop_that_runs_forever_is_a_deadlock():
    loop = VirtualLoop()
    try:
        with pytest.raises(Deadlock, match="there is no task"):
            loop.run_forever()
    finally:
        loop.close()


def test_the_time_limit_stops_what_never_ends():
    async def main():
        for _ in itertools.count():
            await asyncio.sleep(10)

    with pytest.raises(TimeLimitReached, match=r"limit of 60\.0 s") as caught:
        run(main, limit=60)
    assert caught.value.now == 60.0
    assert "await asyncio.sleep(10)" in caught.value.tasks[0]


def test_the_default_limit_is_a_week():
    async def main():
        await asyncio.sleep(7 * 24 * 3600)
        await asyncio.sleep(1)

    with pytest.raises(TimeLimitReached) as caught:
        run(main)
    assert caught.value.now == 604800.0


def test_clean_up_after_the_limit_has_a_minute():
    trace = []

    async def main():
        try:
            await asyncio.sleep(11)
        finally:
            await asyncio.sleep(60)
            trace.append(now())

    with pytest.raises(TimeLimitReached):
        run(main, limit=10)
    assert trace == [60.0]


@pytest.mark.parametrize("pause", [0, 1e-10])
def test_a_livelock_is_found_and_named(pause):
    trace = []

    async def main():
        asyncio.current_task().set_name("spinner")
        await asyncio.sleep(1)
        try:
            for _ in itertools.count():
                await asyncio.sleep(pause)
        finally:
            await asyncio.sleep(pause)
            trace.append("cleaned up")

    with pytest.raises(Livelock, match="turned 1000 times") as caught:
        run(main, instant_limit=1000)
    assert caught.value.now == 1.0
    assert any(
        "'spinner'" in task and "asyncio.sleep(pause)" in task for task in caught.value.tasks
    )
    assert trace == ["cleaned up"]
    if pause == 0:
        assert "next step of task 'spinner'" in str(caught.value)


def test_turns_are_counted_anew_at_each_instant():
    async def main():
        for _ in range(10):
            for _ in range(60):
                await asyncio.sleep(0)
            await asyncio.sleep(1)
        return now()

    assert run(main, instant_limit=100) == 10.0


def test_a_callback_that_calls_itself_is_named():
    async def main():
        loop = asyncio.get_running_loop()

        def again():
            loop.call_soon(again)

        again()
        await loop.create_future()

    with pytest.raises(Livelock, match="again"):
        run(main, instant_limit=50)
