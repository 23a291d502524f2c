from __future__ import annotations

import asyncio
import math
import os
import signal
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import OptionError, UsageError
from antiphon.testing import (
    LoopStatistics,
    VirtualLoop,
    run,
)

# These tests look at loops from the outside, so they are plain functions.


def now() -> float:
    return asyncio.get_running_loop().time()


# ---- time


def test_time_starts_at_zero_and_sleeps_are_exact():
    async def main():
        times = [now()]
        for seconds in (0.1, 0.2, 7.0, 1e-9, 0):
            await asyncio.sleep(seconds)
            times.append(now())
        return times

    assert run(main) == [0.0, 0.1, 0.3, 7.3, 7.300000001, 7.300000001]


def test_three_days_pass_in_a_few_turns_of_the_loop():
    async def main():
        await asyncio.sleep(3 * 24 * 3600)
        return asyncio.get_running_loop().statistics()

    statistics = run(main)
    assert statistics.now == 259200.0
    assert statistics.iterations < 10


def test_time_stands_still_while_anything_is_ready():
    async def main():
        asyncio.get_running_loop().call_later(1e-9, lambda: None)
        for _ in range(1000):
            await asyncio.sleep(0)
        return now()

    # asyncio asks its selector in each turn, with a time-out of 0 while something is ready.
    assert run(main) == 0.0


def test_timers_of_one_instant_fire_in_the_order_of_setting():
    async def main():
        loop, fired = asyncio.get_running_loop(), []
        # Different sums for the same instant, which differ in the last bits of a float.
        for number in range(200):
            loop.call_at((0.3, 0.1 + 0.2, 0.30000000000000001)[number % 3], fired.append, number)
        await asyncio.sleep(0.3)
        return fired

    assert run(main) == list(range(200))


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=400))
def test_timers_fire_by_time_then_by_order_and_never_when_cancelled(plan):
    async def main():
        loop, fired = asyncio.get_running_loop(), []
        timers = [
            loop.call_at(1 + grains * 1e-9, lambda *it: fired.append((*it, loop.time())), grains, n)
            for n, (grains, _) in enumerate(plan)
        ]
        for timer, (_, is_cancelled) in zip(timers, plan, strict=True):
            if is_cancelled:
                timer.cancel()
        await asyncio.sleep(2)
        return fired

    kept = sorted((grains, n) for n, (grains, cancelled) in enumerate(plan) if not cancelled)
    assert run(main) == [(grains, n, round(1 + grains * 1e-9, 9)) for grains, n in kept]


@pytest.mark.parametrize("start", [0.0, 600_000.0])
def test_neighbouring_grains_never_fire_together(start):
    async def main():
        loop, fired = asyncio.get_running_loop(), []
        for grains in (2, 1, 0):
            when = start + grains * 1e-9
            loop.call_at(when, lambda when=when: fired.append(loop.time() == round(when, 9)))
        await asyncio.sleep(600_001)
        return fired

    assert run(main) == [True, True, True]


def test_timers_work_where_a_float_is_coarser_than_the_grain():
    async def main():
        await asyncio.sleep(1e10)
        await asyncio.sleep(1)
        return now()

    assert run(main, limit=None) == 10000000001.0


def test_a_timer_at_no_time_is_refused():
    async def main():
        asyncio.get_running_loop().call_at(math.nan, print)

    with pytest.raises(UsageError, match="nan"):
        run(main)


def test_timeouts_and_task_groups_end_at_exact_times():
    async def late():
        await asyncio.sleep(5.0)
        async with asyncio.timeout(2.25):
            await asyncio.sleep(100)

    async def main():
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(1000))
                group.create_task(late())
        except* TimeoutError:
            pass
        return now()

    assert run(main) == 7.25


def test_cancelling_in_the_middle_of_a_sleep():
    async def main():
        trace = []

        async def sleeper():
            try:
                await asyncio.sleep(10)
            finally:
                trace.append(("cancelled", now()))
                await asyncio.sleep(0.5)
                trace.append(("cleaned up", now()))

        async with asyncio.TaskGroup() as group:
            task = group.create_task(sleeper())
            await asyncio.sleep(2.5)
            task.cancel()
        return [*trace, ("ended", now())]

    assert run(main) == [("cancelled", 2.5), ("cleaned up", 3.0), ("ended", 3.0)]


# ---- the same trace every time


def make_trace() -> list[tuple[float, str]]:
    """Twenty talkers, queues, timeouts, executor jobs, and a group that is torn down."""
    trace: list[tuple[float, str]] = []

    async def talker(number: int, queue: asyncio.Queue[int]):
        try:
            for turn in range(5):
                await asyncio.sleep(0.02 * (number % 4 + 1))
                await queue.put(await asyncio.to_thread(lambda: number * 10 + turn))  # noqa: B023
            await asyncio.sleep(60)
        finally:
            trace.append((now(), f"talker {number} ends"))

    async def listener(queue: asyncio.Queue[int]):
        while True:
            try:
                async with asyncio.timeout(0.5):
                    trace.append((now(), f"heard {await queue.get()}"))
            except TimeoutError:
                trace.append((now(), "silence"))
                raise

    async def main():
        queue: asyncio.Queue[int] = asyncio.Queue(2)
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(20):
                    group.create_task(talker(number, queue))
                group.create_task(listener(queue))
        except* TimeoutError:
            pass

    run(main)
    return trace


def test_every_run_gives_the_same_trace():
    traces = []
    kept = []
    for number in range(5):
        # Moves what comes after it to other addresses, on which asyncio's sets depend.
        kept.append([bytearray(100 + number) for _ in range(1000 + 37 * number)])
        traces.append(make_trace())
    assert len(traces[0]) == 121
    assert traces[0][-1] == (0.9, "talker 19 ends")
    assert all(trace == traces[0] for trace in traces)


def test_sets_of_tasks_are_walked_in_the_order_of_creation():
    async def main():
        order = []

        async def sibling(number: int):
            try:
                await asyncio.sleep(10)
            finally:
                order.append(number)

        async def failing():
            await asyncio.sleep(1)
            raise ValueError

        with pytest.raises(ExceptionGroup):  # noqa: PT012 - the group is what raises
            async with asyncio.TaskGroup() as group:
                for number in range(100):
                    group.create_task(sibling(number))
                group.create_task(failing())
        return order

    assert run(main) == list(range(100))


# ---- signals


def test_the_keyboard_interrupt_reaches_the_main_task():
    trace = []

    async def main():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(3600)
        finally:
            trace.append(now())

    with pytest.raises(KeyboardInterrupt):
        run(main)
    assert trace == [0.0]


def test_signal_handlers_are_kept_and_called_by_the_test_only():
    async def main():
        loop, got = asyncio.get_running_loop(), []
        before = signal.getsignal(signal.SIGTERM)
        loop.add_signal_handler(signal.SIGTERM, got.append, "drain")
        assert signal.getsignal(signal.SIGTERM) is before
        loop.deliver_signal(signal.SIGTERM)
        assert got == []
        await asyncio.sleep(0)
        assert loop.remove_signal_handler(signal.SIGTERM)
        assert not loop.remove_signal_handler(signal.SIGTERM)
        with pytest.raises(UsageError, match="add_signal_handler"):
            loop.deliver_signal(signal.SIGTERM)
        return got

    assert run(main) == ["drain"]


# ---- the loop's life


def test_async_generators_are_closed_at_the_end():
    closed = []

    async def numbers():
        try:
            yield 1
        finally:
            await asyncio.sleep(1)
            closed.append(now())

    async def main():
        generator = numbers()
        assert await anext(generator) == 1
        return generator

    run(main)
    assert closed == [1.0]


def test_a_dropped_async_generator_is_closed_by_the_loop():
    closed = []

    async def numbers():
        try:
            yield 1
        finally:
            closed.append(now())

    async def main():
        async for _ in numbers():
            break
        await asyncio.sleep(1)

    run(main)
    assert closed == [0.0]


def test_run_takes_a_coroutine_or_a_function():
    async def main():
        return "coroutine"

    async def inner():
        future = asyncio.get_running_loop().create_future()
        future.set_result("awaitable")
        return await future

    assert run(main()) == "coroutine"
    assert run(main) == "coroutine"
    assert run(lambda: inner()) == "awaitable"


def test_what_is_left_running_is_cancelled():
    trace = []

    async def left():
        try:
            await asyncio.sleep(100)
        finally:
            trace.append(now())

    async def main():
        asyncio.get_running_loop().create_task(left())
        await asyncio.sleep(1)

    run(main)
    assert trace == [1.0]


def test_no_job_is_taken_after_the_end():
    loop = VirtualLoop()
    try:
        loop.run_until_complete(loop.shutdown_default_executor())
        with pytest.raises(RuntimeError, match="closing"):
            loop.run_in_executor(None, print)
    finally:
        loop.close()
    for call in (loop.call_soon_threadsafe, lambda callback: loop.call_at(1, callback)):
        with pytest.raises(RuntimeError, match="closed"):
            call(print)


@pytest.mark.parametrize(
    "options", [{"limit": -1}, {"limit": math.nan}, {"instant_limit": 0}, {"limt": 3}]
)
def test_wrong_options_are_refused(options):
    with pytest.raises(OptionError):
        VirtualLoop(**options)


def test_debug_mode_works():
    async def main():
        await asyncio.to_thread(int)
        await asyncio.sleep(1)
        return asyncio.get_running_loop().get_debug(), now()

    with asyncio.Runner(debug=True, loop_factory=VirtualLoop) as runner:
        assert runner.run(main()) == (True, 1.0)


def test_eager_tasks_work():
    if sys.version_info < (3, 12):
        pytest.skip("eager tasks came with Python 3.12")

    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(asyncio.sleep(0, "eager"))
        return task.result()

    assert run(main) == "eager"


def test_statistics_are_a_snapshot():
    async def main():
        loop = asyncio.get_running_loop()
        before = loop.statistics()
        loop.call_later(1, print).cancel()
        await asyncio.sleep(2)
        await asyncio.sleep(2)
        await asyncio.to_thread(int)
        return before, loop.statistics()

    before, after = run(main)
    assert before == LoopStatistics(now=0.0, iterations=1, timers_fired=0, jobs=0)
    assert (after.now, after.timers_fired, after.jobs) == (4.0, 2, 1)
    assert after.iterations > before.iterations
