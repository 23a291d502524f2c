"""An asyncio loop whose time is an argument: with nothing to run it jumps to the next timer.

Holds the loop and `run`. Must not hold anything that knows a pipeline or an agent,
and must not read a real clock, but for the one option that charges executor jobs.

What is promised beyond asyncio's own contract, so that two runs give the same trace:

- timers due at one instant fire in the order in which they were set;
- executor jobs run inline, one after the other, in the loop's thread;
- sets of tasks (a task group's children, the result of `asyncio.wait`) are walked in an order
  that depends on the order of their creation, never on memory addresses;
- no file descriptor is opened, and nothing outside the process can wake the loop.

Stands on names that CPython keeps private, the same from 3.11 to 3.13: ``_scheduled``, ``_ready``,
``_clock_resolution`` and the self-pipe of the loop, ``_when``, ``_scheduled`` and ``_run`` of
timers.
"""

from __future__ import annotations

import asyncio
import math
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Executor
from contextvars import Context
from functools import partial
from heapq import heappush
from time import perf_counter  # noqa: TID251 - for `charge_executor` only: a job's real cost
from typing import Any, TypeVar, TypeVarTuple

from antiphon.errors import UsageError
from antiphon.options import Declared, within
from antiphon.testing.loop_errors import Deadlock, Livelock, TimeLimitReached, not_virtual
from antiphon.testing.loop_parts import (
    REFUSED,
    Idle,
    LoopStatistics,
    Task,
    Timer,
    deliver,
    outcome_of,
    refusal,
)
from antiphon.testing.task_report import describe_callback, describe_tasks

__all__ = ["LoopStatistics", "VirtualLoop", "run"]

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_WEEK = 7 * 24 * 3600.0
_GRACE = 60.0
"""Virtual seconds that clean-up gets after the time limit was reached."""


class VirtualLoop(Declared, asyncio.SelectorEventLoop):
    """An event loop in virtual time: `time` starts at 0.0 and moves only by jumps.

    Time stands still while anything is ready, then jumps to the next timer. Its grain is 1 ns.
    Executor jobs run inline. Real sockets, subprocesses, pipes and calls from other threads are
    refused. A signal handler is kept and called by `deliver_signal` only.

    Args:
        limit: Virtual seconds after which the loop refuses to go on; None for no limit.
        instant_limit: Turns of the loop at one instant that count as a livelock.
        charge_executor: Measure what each executor job really costs, and let its future resolve,
            and what it hands over by `call_soon_threadsafe` arrive, that much later in virtual
            time, as if each job had a core of its own. Then two runs no longer give the same
            trace.

    Raises:
        Deadlock: From the running loop, when nothing can wake any task.
        Livelock: From the running loop, after `instant_limit` turns without a jump.
        TimeLimitReached: From the running loop, instead of a jump beyond `limit`.
        OptionError: An option is unknown or out of range.
    """

    _ready: deque[asyncio.Handle]
    _scheduled: list[Timer]
    _clock_resolution: float

    def __init__(
        self,
        *,
        limit: float | None = _WEEK,
        instant_limit: int = 1_000_000,
        charge_executor: bool = False,
    ) -> None:
        super().__init__(Idle(self._idle))
        try:
            if limit is not None:
                within("VirtualLoop", "limit", limit, 0, math.inf, "seconds")
            within("VirtualLoop", "instant_limit", instant_limit, 1, math.inf, "turns")
        except BaseException:
            self.close()
            raise
        # Half a grain, so that a timer 1 ns later never fires together with one of now.
        self._clock_resolution = 5e-10
        self._now = 0.0
        self._limit = math.inf if limit is None else float(limit)
        self._instant_limit = instant_limit
        self._charged = charge_executor
        self._turns_now = self._iterations = self._timers_fired = self._jobs = 0
        self._timers_set = self._tasks_made = self._foreign_calls = 0
        self._jobs_ended = False
        self._job_began: float | None = None
        self._handlers: dict[int, Callable[[], object]] = {}
        self._home = threading.get_ident()
        self.set_task_factory(lambda loop, coro, **options: Task(coro, loop=loop, **options))

    def time(self) -> float:
        """Tell the virtual time, in seconds since the loop was made."""
        return self._now

    def statistics(self) -> LoopStatistics:
        """Tell what the loop has done so far."""
        return LoopStatistics(self._now, self._iterations, self._timers_fired, self._jobs)

    def run_forever(self) -> None:
        """Run until `stop`, in the thread that calls."""
        self._home = threading.get_ident()
        super().run_forever()

    def _idle(self, timeout: float | None) -> None:
        """Take the place of the wait for the outside world, once per turn of the loop."""
        self._iterations += 1
        if timeout is None:
            raise self._deadlock()
        if timeout > 0:
            self._jump(self._scheduled[0].when())
            return
        self._turns_now += 1
        if self._turns_now > self._instant_limit:
            self._turns_now = 0  # clean-up may need turns of its own
            ready = "\n  ".join(describe_callback(handle) for handle in list(self._ready)[:10])
            problem = f"the loop turned {self._instant_limit} times without an end; ready:\n  "
            raise Livelock(f"{problem}{ready or 'timers in the past'}\ntasks:", *self._state())

    def _jump(self, when: float) -> None:
        if math.isinf(when):
            raise self._deadlock()
        if when > self._limit:
            limit, self._limit = self._limit, max(self._now, self._limit) + _GRACE
            problem = f"the next timer is due at {when!r} s, beyond the limit of {limit!r} s:"
            raise TimeLimitReached(problem, *self._state())
        self._now = when
        self._turns_now = 0
        # From 50 days on, a float is coarser than the grain.
        self._clock_resolution = max(5e-10, math.ulp(when))

    def _deadlock(self) -> Deadlock:
        refused = f" ({self._foreign_calls} calls from other threads were refused)"
        problem = "every task waits and nothing can wake one" + refused * bool(self._foreign_calls)
        return Deadlock(f"{problem}:", *self._state())

    def _state(self) -> tuple[float, tuple[str, ...]]:
        return self._now, describe_tasks(asyncio.all_tasks(self))

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        """Call back at `when`, in virtual seconds, rounded to the grain of 1 ns."""
        if self.is_closed():
            raise RuntimeError("Event loop is closed")
        if math.isnan(when):
            raise UsageError("a timer's time must be a number, not nan")
        self._timers_set += 1
        timer = Timer(round(when, 9), callback, args, self, context)
        timer.order = self._timers_set
        timer._scheduled = True
        heappush(self._scheduled, timer)
        return timer

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Call back soon; only from this loop's own thread, where executor jobs run too.

        Raises:
            NotVirtual: From another thread, which would make the order of events a matter of luck.
        """
        if self.is_closed():
            raise RuntimeError("Event loop is closed")
        if threading.get_ident() != self._home:
            self._foreign_calls += 1
            raise not_virtual("a call from another thread", "give the work to run_in_executor")
        if self._job_began is None:
            return self.call_soon(callback, *args, context=context)
        return self.call_later(perf_counter() - self._job_began, callback, *args, context=context)

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run ``func(*args)`` inline, in the next turn of the loop; `executor` is not used.

        As in a thread, the job sees no running loop and no context variables of its caller, and
        does not run if its future was cancelled before. It must not wait for another thread.

        Returns:
            A future of the result. What the job raises goes there, as with a real executor;
            a KeyboardInterrupt comes from the person at the keyboard and ends the loop.
        """
        if self.is_closed() or self._jobs_ended:
            raise RuntimeError("the loop is closing and takes no more executor jobs")
        future: asyncio.Future[T] = self.create_future()
        self.call_soon(self._run_job, future, partial(func, *args), context=Context())
        return future

    def _run_job(self, future: asyncio.Future[T], job: Callable[[], T]) -> None:
        if future.done():
            return
        self._jobs += 1
        asyncio._set_running_loop(None)
        began = self._job_began = perf_counter() if self._charged else None
        try:
            outcome = outcome_of(job)
        finally:
            self._job_began = None
            asyncio._set_running_loop(self)
        if began is None:
            deliver(future, *outcome)
        else:
            self.call_later(perf_counter() - began, deliver, future, *outcome)

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Take no more jobs; there is no thread to wait for."""
        self._jobs_ended = True

    def add_signal_handler(self, sig: int, callback: Callable[[*Ts], object], *args: *Ts) -> None:
        """Keep a handler for `deliver_signal`; the process's real signals stay as they are."""
        self._handlers[sig] = partial(callback, *args)

    def remove_signal_handler(self, sig: int) -> bool:
        """Forget a handler and tell whether there was one."""
        return self._handlers.pop(sig, None) is not None

    def deliver_signal(self, sig: int) -> None:
        """Call the handler of a signal soon, as if the process had received it.

        Args:
            sig: Such as ``signal.SIGTERM``.

        Raises:
            UsageError: There is no handler for it.
        """
        if sig not in self._handlers:
            raise UsageError(f"nothing handles signal {sig!r}: call add_signal_handler first")
        self.call_soon(self._handlers[sig])

    # The self-pipe is for threads and signals, which cannot wake this loop.
    def _make_self_pipe(self) -> None: ...

    def _close_self_pipe(self) -> None: ...


def run(
    main: Callable[[], Awaitable[T]] | Coroutine[Any, Any, T],
    *,
    limit: float | None = _WEEK,
    instant_limit: int = 1_000_000,
    charge_executor: bool = False,
) -> T:
    """Run `main` to its end on a fresh `VirtualLoop`, then cancel what it left running.

    Args:
        main: A coroutine, or a function that is called in the running loop and gives an awaitable.
        limit: Virtual seconds after which the loop refuses to go on; None for no limit.
        instant_limit: Turns of the loop at one instant that count as a livelock.
        charge_executor: Let executor jobs take the virtual time that they really cost.

    Returns:
        What `main` returns.

    Raises:
        Deadlock: Nothing can wake any task.
        Livelock: The loop turns without an end at one instant.
        TimeLimitReached: The next timer lies beyond `limit`.
    """

    async def body() -> T:
        return await (main() if callable(main) else main)

    make_loop = partial(
        VirtualLoop, limit=limit, instant_limit=instant_limit, charge_executor=charge_executor
    )
    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(body())


for _name in REFUSED:
    setattr(VirtualLoop, _name, refusal(_name))
