from __future__ import annotations

import asyncio
import contextvars
import inspect
import os
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter  # noqa: TID251 - what a charged job is measured against

import pytest

from antiphon.testing import (
    Deadlock,
    NotVirtual,
    VirtualLoop,
    run,
)

# These tests look at loops from the outside, so they are plain functions.


def now() -> float:
    return asyncio.get_running_loop().time()


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
        asyncio.get_running_loop().run_in_executor(None, job)
        await asyncio.sleep(1)
        raise AssertionError("the loop went on")

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


class Clock:
    """Stands in for the machine's clock; a job moves it by working."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr("antiphon.testing.virtual_time.perf_counter", made)
    return made


def test_charged_jobs_take_their_real_time_each_on_its_own_core(clock):
    async def timed(seconds: float):
        await asyncio.to_thread(clock.work, seconds)
        return now()

    async def main():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(timed(seconds)) for seconds in (0.5, 0.25)]
        return [task.result() for task in tasks], now()

    assert run(main, charge_executor=True) == ([0.5, 0.25], 0.5)


def test_a_charged_job_hands_over_pieces_when_it_made_them(clock):
    async def main():
        loop, arrivals = asyncio.get_running_loop(), []

        def job():
            for _ in range(3):
                clock.work(0.25)
                loop.call_soon_threadsafe(lambda: arrivals.append(loop.time()))
            clock.work(1)
            raise ValueError("after all")

        await asyncio.sleep(2)
        with pytest.raises(ValueError, match="after all"):
            await asyncio.to_thread(job)
        loop.call_soon_threadsafe(lambda: arrivals.append("no job, no delay"))
        await asyncio.sleep(0)
        return arrivals, loop.time()

    assert run(main, charge_executor=True) == ([2.25, 2.5, 2.75, "no job, no delay"], 3.75)


def test_a_charged_job_can_be_cancelled_while_it_is_said_to_run(clock, caplog):
    async def main():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.125):
                await asyncio.to_thread(clock.work, 0.5)
        ended = now()
        await asyncio.sleep(1)  # past the end of the job, which tells nobody
        return ended

    assert run(main, charge_executor=True) == 0.125
    assert caplog.records == []


def test_the_charge_comes_from_the_real_clock():
    def job():
        began = perf_counter()
        while perf_counter() - began < 0.002:
            pass

    async def main():
        await asyncio.to_thread(job)
        return now()

    assert 0.002 <= run(main, charge_executor=True) < 60
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
