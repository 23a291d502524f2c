from __future__ import annotations

import asyncio
import contextvars
import inspect
import itertools
import math
import os
import signal
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter  # noqa: TID251 - what a charged job is measured against

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import OptionError, UsageError
from antiphon.testing import (
    Deadlock,
    Livelock,
    LoopStatistics,
    NotVirtual,
    TimeLimitReached,
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


def test_neighbouring_grains_never_fire_together_far_from_zero():
    async def main():
        loop, fired = asyncio.get_running_loop(), []
        start = 600_000.0
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


# ---- executor jobs


def test_executor_jobs_run_inline_and_in_order():
    async def main():
        loop, order, me = asyncio.get_running_loop(), [], threading.get_ident()
        futures = [
            loop.run_in_executor(None, lambda n=n: order.append((n, threading.get_ident() == me)))
            for n in range(3)
        ]
        order.append("not before the caller waits")
        for future in futures:
            await future
        answer = await asyncio.to_thread(lambda x, *, y: x + y, 1, y=2)
        return order, answer, loop.time(), loop.statistics().jobs

    order, answer, time, jobs = run(main)
    assert order == ["not before the caller waits", (0, True), (1, True), (2, True)]
    assert (answer, time, jobs) == (3, 0.0, 4)


def test_a_given_executor_is_not_used():
    def start_thread():
        raise AssertionError("a thread was started")

    async def main():
        with ThreadPoolExecutor(1, initializer=start_thread) as executor:
            asyncio.get_running_loop().set_default_executor(executor)
            first = await asyncio.get_running_loop().run_in_executor(executor, lambda: 1)
            return first + await asyncio.to_thread(lambda: 2)

    assert run(main) == 3


@pytest.mark.parametrize("kind", [ValueError, SystemExit, BaseException])
def test_what_a_job_raises_goes_to_who_awaits(kind):
    def job():
        raise kind("from the job")

    async def main():
        with pytest.raises(kind, match="from the job"):
            await asyncio.to_thread(job)
        return "alive"

    assert run(main) == "alive"


def test_stop_iteration_of_a_job_is_told():
    async def main():
        with pytest.raises(RuntimeError, match="StopIteration") as caught:
            await asyncio.to_thread(next, iter(()))
        return caught.value.__cause__

    assert isinstance(run(main), StopIteration)


def test_a_keyboard_interrupt_in_a_job_ends_the_loop():
    def job():
        raise KeyboardInterrupt

    async def main():
        await asyncio.to_thread(job)

    with pytest.raises(KeyboardInterrupt):
        run(main)


def test_a_job_cancelled_before_its_turn_does_not_run():
    async def main():
        ran = []
        future = asyncio.get_running_loop().run_in_executor(None, ran.append, 1)
        future.cancel()
        await asyncio.sleep(1)
        return ran, asyncio.get_running_loop().statistics().jobs

    assert run(main) == ([], 0)


def test_a_job_sees_what_a_thread_would_see():
    variable = contextvars.ContextVar("variable", default="not set")

    def job():
        with pytest.raises(RuntimeError, match="no running event loop"):
            asyncio.get_running_loop()
        return variable.get(), asyncio.run(asyncio.sleep(0, "a loop of its own"))

    async def main():
        variable.set("set")
        plain = await asyncio.get_running_loop().run_in_executor(None, job)
        with_context = await asyncio.to_thread(job)
        assert asyncio.get_running_loop().time() == 0.0
        return plain, with_context

    assert run(main) == (("not set", "a loop of its own"), ("set", "a loop of its own"))


def test_a_job_hands_over_pieces_by_call_soon_threadsafe():
    async def main():
        loop, pieces = asyncio.get_running_loop(), []

        def job():
            for piece in "abc":
                loop.call_soon_threadsafe(pieces.append, piece)
            return list(pieces)

        return await asyncio.to_thread(job), pieces

    assert run(main) == ([], ["a", "b", "c"])


def busy(seconds: float) -> float:
    """Work for some real time, and tell how much it was."""
    began = perf_counter()
    while perf_counter() - began < seconds:
        pass
    return perf_counter() - began


def test_charged_jobs_take_their_real_time_each_on_its_own_core():
    async def main():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(timed(seconds)) for seconds in (0.02, 0.01)]
        return [task.result() for task in tasks], now()

    async def timed(seconds: float):
        spent = await asyncio.to_thread(busy, seconds)
        return spent, now()

    ((first, first_end), (second, second_end)), end = run(main, charge_executor=True)
    assert first <= first_end
    assert second <= second_end
    # The second ran after the first, and yet is charged only for itself.
    assert second_end < first_end == end
    assert first_end < first + second


def test_a_charged_job_hands_over_pieces_when_it_made_them():
    async def main():
        loop, arrivals = asyncio.get_running_loop(), []

        def job():
            for _ in range(3):
                busy(0.002)
                loop.call_soon_threadsafe(lambda: arrivals.append(loop.time()))
            raise ValueError

        with pytest.raises(ValueError):  # noqa: PT011 - ours, just above
            await asyncio.to_thread(job)
        return arrivals, loop.time()

    (first, second, third), end = run(main, charge_executor=True)
    assert 0.002 <= first < first + 0.002 <= second < second + 0.002 <= third <= end


def test_a_charged_job_can_be_cancelled_while_it_is_said_to_run():
    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.001):
                await asyncio.to_thread(busy, 0.005)
        ended = now()
        await asyncio.sleep(1)  # past the end of the job, which tells nobody
        return ended

    assert run(main, charge_executor=True) == 0.001


def test_jobs_are_free_unless_charged():
    async def main():
        await asyncio.to_thread(busy, 0.002)
        return now()

    assert run(main) == 0.0


# ---- what is refused


def loop_call(name: str, *args: object, **options: object):
    async def call():
        return await getattr(asyncio.get_running_loop(), name)(*args, **options)

    return call


@pytest.mark.parametrize(
    "call",
    [
        lambda: asyncio.open_connection("127.0.0.1", 9),
        lambda: asyncio.start_server(print, "127.0.0.1", 0),
        lambda: asyncio.open_unix_connection("/nowhere"),
        lambda: asyncio.create_subprocess_exec(sys.executable, "-V"),
        lambda: asyncio.create_subprocess_shell("true"),
        loop_call("create_datagram_endpoint", asyncio.DatagramProtocol, ("127.0.0.1", 0)),
        loop_call("getaddrinfo", "localhost", 80),
        loop_call("connect_read_pipe", asyncio.Protocol, sys.stdin),
    ],
)
def test_the_outside_world_is_refused(call):
    async def main():
        await call()

    with pytest.raises(NotVirtual, match=r"antiphon\.testing.*real_time"):
        run(main)


def test_sockets_are_refused_even_where_they_would_not_wait():
    async def main():
        loop = asyncio.get_running_loop()
        near, far = socket.socketpair()
        with near, far:
            near.setblocking(False)
            far.send(b"x")
            with pytest.raises(NotVirtual, match="sock_recv"):
                await loop.sock_recv(near, 1)
            with pytest.raises(NotVirtual, match="add_reader"):
                loop.add_reader(near, print)

    run(main)


def test_every_coroutine_of_the_loop_that_reaches_out_is_refused():
    inner = {"shutdown_asyncgens", "shutdown_default_executor", "run_in_executor"}
    coroutines = {
        name
        for kind in (asyncio.AbstractEventLoop, asyncio.SelectorEventLoop)
        for name, member in inspect.getmembers(kind, inspect.iscoroutinefunction)
        if not name.startswith("_")
    } - inner
    assert {"sock_recv", "create_connection"} <= coroutines
    left = {name for name in coroutines if "refus" not in getattr(VirtualLoop, name).__qualname__}
    assert left == set()


def test_other_threads_are_refused_in_their_own_thread():
    caught = []

    async def main():
        loop = asyncio.get_running_loop()

        def call():
            try:
                loop.call_soon_threadsafe(print)
            except NotVirtual as error:
                caught.append(str(error))

        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
        await loop.create_future()

    with pytest.raises(Deadlock, match="1 calls from other threads were refused"):
        run(main)
    assert "run_in_executor" in caught[0]


def test_the_loop_opens_no_file_descriptor():
    before = os.listdir("/dev/fd")
    loop = VirtualLoop()
    during = os.listdir("/dev/fd")
    loop.close()
    assert len(before) == len(during)


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


# ---- stuck


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
    async def spin():
        await asyncio.sleep(1)
        for _ in itertools.count():
            await asyncio.sleep(pause)

    async def main():
        async with asyncio.TaskGroup() as group:
            group.create_task(spin(), name="spinner")

    with pytest.raises(Livelock, match="turned 1000 times") as caught:
        run(main, instant_limit=1000)
    assert caught.value.now == 1.0
    assert any(
        "'spinner'" in task and "asyncio.sleep(pause)" in task for task in caught.value.tasks
    )
    if pause == 0:
        assert "next step of task 'spinner'" in str(caught.value)


def test_a_callback_that_calls_itself_is_named():
    async def main():
        loop = asyncio.get_running_loop()

        def again():
            loop.call_soon(again)

        again()
        await loop.create_future()

    with pytest.raises(Livelock, match="again"):
        run(main, instant_limit=50)


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
