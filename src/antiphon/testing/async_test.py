"""One ``async def`` test on a loop of its own, watched until its last task.

Holds what the pytest plugin needs once an async test runs, without pytest: so that pytest itself
starts without asyncio. Must not hold hooks.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NoReturn

from antiphon.errors import UsageError
from antiphon.testing.loop_errors import Stuck
from antiphon.testing.task_report import describe_tasks
from antiphon.testing.virtual_time import VirtualLoop

__all__ = ["run_test"]

_REAL_GRACE = 0.5
"""Seconds for the tasks of real sockets to end after their test; virtual time needs none."""


def run_test(
    make_test: Callable[[], Coroutine[Any, Any, object]],
    kind: str,
    options: dict[str, Any],
    tell: Callable[[str], None],
) -> str:
    """Run one test to its end on a fresh loop.

    Args:
        make_test: Calls the test function, within the running loop.
        kind: ``"virtual_time"`` or ``"real_time"``.
        options: Options of `VirtualLoop`; none for a real loop.
        tell: Takes a text about the tasks that were alive when the test failed.

    Returns:
        Why a test that passed must fail all the same: tasks that it left running, exceptions
        that nobody saw. Else an empty text.

    Raises:
        BaseException: Whatever the test raises; `Stuck` if its loop cannot go on.
    """
    __tracebackhide__ = True
    is_virtual = kind == "virtual_time"

    if options and not is_virtual:
        raise UsageError(f"the mark real_time takes no options, not {', '.join(sorted(options))}")
    make_loop = partial(VirtualLoop, **options) if is_virtual else asyncio.new_event_loop
    leaked: list[str] = []
    unseen: list[str] = []
    stuck: Stuck | None = None
    try:
        with asyncio.Runner(loop_factory=make_loop) as runner:
            runner.get_loop().set_exception_handler(partial(_note, unseen))
            leaked = runner.run(_watch(make_test, 0.0 if is_virtual else _REAL_GRACE, tell))
    except Stuck as error:
        stuck = error
    if stuck is not None:
        _raise_first(stuck)
    return "\n".join((*leaked, *unseen))


def _raise_first(stuck: Stuck) -> NoReturn:
    # The first is the cause: a second one comes from cancelling the tasks that hang.
    while isinstance(stuck.__context__, Stuck):
        stuck = stuck.__context__
    # The way through the loop's inside says nothing; the text names every task.
    raise stuck.with_traceback(None)


async def _watch(
    make_test: Callable[[], Coroutine[Any, Any, object]], grace: float, tell: Callable[[str], None]
) -> list[str]:
    __tracebackhide__ = True
    try:
        await make_test()
    except (asyncio.CancelledError, GeneratorExit):
        raise  # the loop could not go on and is being taken down: its error has named the tasks
    except BaseException:
        others = describe_tasks(_others())
        if others:
            tell("\n".join(others))
        raise
    left = _others()
    if left and grace:
        await asyncio.wait(left, timeout=grace)
        left = _others()
    return [f"the test left a task running: {text}" for text in describe_tasks(left)]


def _others() -> set[asyncio.Task[Any]]:
    """All tasks but the test's own and those with which the loop closes async generators."""
    me = asyncio.current_task()
    tasks = asyncio.all_tasks()
    return {task for task in tasks if task is not me and inspect.iscoroutine(task.get_coro())}


def _note(unseen: list[str], loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    message = context.get("message", "an error of the loop")
    unseen.append(f"nobody saw: {message}: {context.get('exception')!r}")
    loop.default_exception_handler(context)
