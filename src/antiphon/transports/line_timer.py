"""`LineTimer`: sees to it that a line is asked at its deadline.

Holds one timer of the loop. Must not know the line's rules (`line`) nor what silence is made of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from antiphon.transports.line import Line

__all__ = ["LineTimer"]

HAIR = 1e-6
"""Seconds that a timer may fire early: loops round."""


class LineTimer:
    """Watches one line.

    Args:
        line: Whose deadline it is.
        guard: Runs the timer's callback, so that its error reaches who owns it.
        on_time: Called at the deadline with the time, never with one before it. It ends the
            watching by calling `stop`.
    """

    def __init__(
        self,
        line: Line,
        guard: Callable[[Callable[[], None]], None],
        on_time: Callable[[float], None],
    ) -> None:
        self._line = line
        self._guard = guard
        self._on_time = on_time
        self._timer: asyncio.TimerHandle | None = None
        self._has_stopped = False

    def arm(self) -> None:
        """Call it when the deadline may have come nearer.

        A deadline that has moved away costs nothing: its old timer looks for the new one.
        """
        deadline = self._line.deadline
        if self._has_stopped or (self._timer is not None and self._timer.when() <= deadline):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(deadline, self._guard, self._fire)

    def stop(self) -> None:
        """Watch no more."""
        self._has_stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        now, deadline = asyncio.get_running_loop().time(), self._line.deadline
        if now >= deadline - HAIR:
            self._on_time(max(now, deadline))
        self.arm()
