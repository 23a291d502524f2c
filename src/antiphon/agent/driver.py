"""The few lines of asyncio around the turn machine: events in turn, one timer.

Must not know what an order means.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from antiphon.turns.events import Event
from antiphon.turns.machine import TurnMachine
from antiphon.turns.orders import Order

__all__ = ["MachineDriver"]


class MachineDriver:
    """Feeds a machine on the running loop.

    Args:
        machine: Whose orders are carried out.
        carry_out: Called with orders, at once and in turn: events that come while it works wait.
        guard: Runs the timer's callback, so that its error reaches who owns it.
    """

    def __init__(
        self,
        machine: TurnMachine,
        carry_out: Callable[[Sequence[Order]], None],
        guard: Callable[[Callable[[], None]], None],
    ) -> None:
        self.machine = machine
        self._carry_out = carry_out
        self._guard = guard
        self._events: deque[Event] = deque()
        self._is_busy = False
        self._timer: asyncio.TimerHandle | None = None

    def tell(self, event: Event) -> None:
        """Give the machine an event and carry out its orders; then those of events that follow."""
        self._events.append(event)
        if not self._is_busy:
            self._work()

    def stop(self) -> None:
        """No timer fires any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _work(self, *, tick_at: float | None = None) -> None:
        loop = asyncio.get_running_loop()
        self._is_busy = True
        try:
            if tick_at is not None:
                self._carry_out(self.machine.tick(tick_at))
            while self._events:
                self._carry_out(self.machine.feed(self._events.popleft(), loop.time()))
        finally:
            self._is_busy = False
            self._arm(loop)

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        deadline = self.machine.deadline
        if self._timer is not None and self._timer.when() != deadline:
            self.stop()
        if self._timer is None and deadline is not None:
            self._timer = loop.call_at(deadline, self._guard, self._fire)

    def _fire(self) -> None:
        self._timer = None
        # A timer may fire a hair early; a machine that says "not yet" would then spin for ever.
        now = max(asyncio.get_running_loop().time(), self.machine.deadline or 0.0)
        self._work(tick_at=now)
