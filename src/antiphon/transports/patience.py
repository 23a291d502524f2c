"""`Patience`: a bound on each of many short waits, for the price of one timer now and then.

`asyncio.timeout` sets a timer for every wait; a wire has fifty a second and nearly none of them
waits at all. Must not know what is waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

__all__ = ["Patience"]


class Patience:
    """Bounds the waits of one task, one after the other.

    Args:
        seconds: That each may take.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._until: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[object] | None = None
        self._is_over = False

    async def wait(self, waiting: Awaitable[None]) -> None:
        """Await `waiting`.

        Cancellation from anywhere else passes through.

        Raises:
            TimeoutError: It took too long, and was cancelled.
        """
        loop = asyncio.get_running_loop()
        self._task = task = asyncio.current_task()
        assert task is not None
        self._is_over = False
        self._until = loop.time() + self.seconds
        if self._timer is None:
            self._timer = loop.call_at(self._until, self._check)
        before = task.cancelling()
        try:
            await waiting
        except asyncio.CancelledError:
            if self._is_over and task.uncancel() <= before:
                raise TimeoutError from None
            raise
        finally:
            self._until = None

    def stop(self) -> None:
        """Nothing more is waited for."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        """The timer of an earlier wait fires: is the one under way too late, or is there none?"""
        self._timer = None
        if self._until is None:
            return
        loop = asyncio.get_running_loop()
        if loop.time() < self._until:
            self._timer = loop.call_at(self._until, self._check)
            return
        assert self._task is not None
        self._is_over = True
        self._task.cancel()
