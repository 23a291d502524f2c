"""Cancelling a scenario at each of its awaiting lines, one run after the other.

Holds the counting of steps. Must not know what is being cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

from antiphon.errors import UsageError
from antiphon.testing.virtual_time import VirtualLoop

__all__ = ["cancel_at_every_step"]

_MOST_STEPS = 20_000


class _Counted(Coroutine[Any, Any, Any]):
    """A coroutine that tells each time it is suspended."""

    def __init__(self, inner: Coroutine[Any, Any, Any], on_step: Callable[[], None]) -> None:
        self._inner = inner
        self._on_step = on_step
        self.__qualname__ = getattr(inner, "__qualname__", repr(inner))

    def send(self, value: Any) -> Any:
        result = self._inner.send(value)
        self._on_step()
        return result

    def throw(self, *error: Any) -> Any:
        result = self._inner.throw(*error)
        self._on_step()
        return result

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._inner.__await__()


def cancel_at_every_step(scenario: Callable[[], Awaitable[Any]], *, within: float = 10.0) -> int:
    """Run `scenario` on virtual time again and again, each time cancelled one step later.

    A step is a line at which any of its tasks waits. The last run is not cancelled any more.

    Args:
        scenario: Makes one run. It may assert what must hold however it ends.
        within: Virtual seconds that it may take to end after it was cancelled.

    Returns:
        How many steps it has.

    Raises:
        AssertionError: A cancelled run took too long, went on as if nothing had happened, or left
            a task alive.
        UsageError: It has more steps than anybody would wait for.
    """
    for step in range(1, _MOST_STEPS):
        if not _run(scenario, step, within):
            return step - 1
    raise UsageError(f"the scenario has more than {_MOST_STEPS} steps: make it shorter")


def _run(scenario: Callable[[], Awaitable[Any]], step: int, within: float) -> bool:
    """Run once; whether the step was reached."""
    steps = 0
    cancelled_at: float | None = None
    main: asyncio.Task[Any] | None = None
    is_counting = False

    def cancel() -> None:
        nonlocal cancelled_at
        assert main is not None
        # The last line of all may have been another task's: then it is over already.
        if main.cancel():
            cancelled_at = main.get_loop().time()

    def on_step() -> None:
        nonlocal steps
        steps += 1
        if steps == step:
            # Not from within the task that is being suspended: it has no line to be cancelled at.
            asyncio.get_running_loop().call_soon(cancel)

    def factory(
        loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any
    ) -> asyncio.Task[Any]:
        counted = _Counted(coroutine, on_step) if is_counting else coroutine
        return asyncio.Task(counted, loop=loop, **options)

    async def watch() -> None:
        nonlocal main, is_counting
        loop = asyncio.get_running_loop()
        is_counting = True
        main = loop.create_task(_of(scenario))
        await asyncio.wait({main})
        if main.cancelled():
            assert cancelled_at is not None, "the scenario cancelled itself"
            late = loop.time() - cancelled_at
            assert late <= within, f"step {step}: it took {late:g} s to end after a cancellation"
        else:
            main.result()
            assert cancelled_at is None, f"step {step}: cancelled, but it went on to its end"
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"step {step}: still alive after a cancellation: {left}"

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.get_loop().set_task_factory(factory)
        runner.run(watch())
    return steps >= step


async def _of(scenario: Callable[[], Awaitable[Any]]) -> None:
    await scenario()
