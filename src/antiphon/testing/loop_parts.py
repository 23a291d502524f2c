"""What a virtual loop is put together from, so that its order never depends on luck.

Holds timers, tasks and the selector that stands in for the outside world, and the names of what
is refused. Must not hold a loop, nor any decision about time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from selectors import BaseSelector, SelectorKey
from typing import Any, NoReturn, TypeVar

from antiphon.testing.loop_errors import not_virtual

__all__ = ["REFUSED", "Idle", "LoopStatistics", "Task", "Timer", "deliver", "outcome_of", "refusal"]

T = TypeVar("T")

REFUSED = (
    *("add_reader", "add_writer", "_add_reader", "_add_writer"),
    *("connect_accepted_socket", "connect_read_pipe", "connect_write_pipe"),
    *("create_connection", "create_datagram_endpoint", "create_server"),
    *("create_unix_connection", "create_unix_server", "getaddrinfo", "getnameinfo"),
    *("sendfile", "start_tls", "subprocess_exec", "subprocess_shell"),
    *("sock_accept", "sock_connect", "sock_recv", "sock_recv_into", "sock_recvfrom"),
    *("sock_recvfrom_into", "sock_sendall", "sock_sendfile", "sock_sendto"),
)
"""Methods of asyncio's loop that reach a socket, a pipe or a subprocess."""


@dataclass(frozen=True, slots=True)
class LoopStatistics:
    """What a virtual loop has done so far.

    Attributes:
        now: Virtual time, in seconds.
        iterations: Turns of the loop.
        timers_fired: Timers that came due and ran.
        jobs: Executor jobs that ran.
    """

    now: float
    iterations: int
    timers_fired: int
    jobs: int


class Timer(asyncio.TimerHandle):
    """Ordered by time, then by order of setting; asyncio's ties follow the shape of its heap."""

    __slots__ = ("order",)
    order: int
    _when: float
    _scheduled: bool
    _loop: Any

    def __lt__(self, other: Timer) -> bool:  # type: ignore[override]  # the heap has no others
        if self._when == other._when:
            return self.order < other.order
        return self._when < other._when

    def _run(self) -> None:
        self._loop._timers_fired += 1
        super()._run()


class Task(asyncio.Task[Any]):
    """Hashed by its number: a set of tasks is walked in the same order in every run."""

    order: int

    def __new__(cls, coroutine: Any, *, loop: Any, **options: Any) -> Task:
        """Number the task first: asyncio hashes it, and may run it, while it is constructed."""
        task = super().__new__(cls)
        loop._tasks_made += 1
        task.order = loop._tasks_made
        return task

    def __hash__(self) -> int:
        return self.order


class Idle(BaseSelector):
    """What the loop calls when it would wait for the outside world."""

    def __init__(self, idle: Callable[[float | None], None]) -> None:
        self._idle = idle

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        """Let the loop decide; no file descriptor is ever ready."""
        self._idle(timeout)
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> NoReturn:
        """Refuse."""
        raise not_virtual("waiting for a file descriptor")

    def unregister(self, fileobj: Any) -> NoReturn:
        """Refuse: nothing was registered."""
        raise KeyError(fileobj)

    def get_map(self) -> dict[Any, SelectorKey]:
        """Tell that nothing is registered."""
        return {}


def refusal(name: str) -> Callable[..., NoReturn]:
    """Make a method that refuses.

    Args:
        name: Name of the method whose place it takes.

    Returns:
        A plain function that raises `NotVirtual` when it is called.
    """

    def refused(self: asyncio.AbstractEventLoop, *args: Any, **options: Any) -> NoReturn:
        raise not_virtual(f"{name}()")

    return refused


def outcome_of(job: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    """Do a job here and now, as a worker thread would.

    Args:
        job: The work.

    Returns:
        Its result, or what it raised.

    Raises:
        KeyboardInterrupt: It comes from the person at the keyboard, not from the job.
    """
    try:
        return job(), None
    except KeyboardInterrupt:
        raise
    except StopIteration as error:
        # A future refuses StopIteration, which would end the awaiting coroutine in silence.
        refused = RuntimeError("an executor job raised StopIteration")
        refused.__cause__ = error
        return None, refused
    except BaseException as error:  # noqa: BLE001 - as in a thread, it goes to who awaits
        return None, error


def deliver(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    """Hand the outcome of a job to its future, unless that was cancelled while the job ran."""
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
