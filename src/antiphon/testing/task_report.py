"""What tasks are doing, in words: who waits, in which coroutine, at which line.

Holds only the reading of suspended tasks and ready callbacks; every function looks and changes
nothing. Must not hold a loop, nor anything that waits.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import linecache
from collections.abc import Iterable
from types import FrameType
from typing import Any

__all__ = ["describe_callback", "describe_tasks"]

_DEEPEST = 12
"""Frames that are shown of one task; the innermost are kept."""


def describe_tasks(tasks: Iterable[asyncio.Task[Any]]) -> tuple[str, ...]:
    """Describe each task by its name, its coroutine and the lines at which it waits.

    Args:
        tasks: Tasks, running or done, of any loop.

    Returns:
        One text of several lines per task, outermost frame first, ordered by the task's name.
    """
    ordered = sorted(tasks, key=lambda task: (len(task.get_name()), task.get_name()))
    return tuple(_describe_task(task) for task in ordered)


def describe_callback(handle: asyncio.Handle) -> str:
    """Name a ready callback; for the step of a task, name the task.

    Args:
        handle: A handle of asyncio, ready or scheduled.

    Returns:
        One line.
    """
    callback = getattr(handle, "_callback", None)
    # The step of a task is a C object that only the garbage collector can look into.
    for owner in (getattr(callback, "__self__", None), *gc.get_referents(callback)):
        if isinstance(owner, asyncio.Task):
            return f"next step of {_title(owner)}"
    return repr(handle)


def _title(task: asyncio.Task[Any]) -> str:
    coroutine = task.get_coro()
    name = getattr(coroutine, "__qualname__", None) or repr(coroutine)
    return f"task {task.get_name()!r}, {name}()"


def _describe_task(task: asyncio.Task[Any]) -> str:
    lines = _waiting_lines(task.get_coro())
    if not lines:
        lines = ["done" if task.done() else "not at a line of Python"]
    return "\n    ".join((_title(task), *lines[-_DEEPEST:]))


def _waiting_lines(awaited: object) -> list[str]:
    """Walk from a coroutine along what it awaits to the innermost frame."""
    lines: list[str] = []
    # 1000 is Python's own bound on nested calls: a longer chain is a circle.
    for _ in range(1000):
        frame, inner = _frame_and_awaited(awaited)
        if frame is not None:
            lines.append(_line(frame))
        if inner is None:
            break
        awaited = inner
    return lines


def _frame_and_awaited(awaited: object) -> tuple[FrameType | None, object | None]:
    for frame, inner in (
        ("cr_frame", "cr_await"),
        ("ag_frame", "ag_await"),
        ("gi_frame", "gi_yieldfrom"),
    ):
        if hasattr(awaited, frame):
            return getattr(awaited, frame), getattr(awaited, inner)
    if isinstance(awaited, asyncio.Future) or awaited is None:
        return None, None
    # `async for` and `__await__` put a C object in between, which shows its coroutine to the
    # garbage collector only.
    for referent in gc.get_referents(awaited):
        if inspect.iscoroutine(referent) or inspect.isasyncgen(referent):
            return None, referent
    return None, None


def _line(frame: FrameType) -> str:
    code = frame.f_code
    source = linecache.getline(code.co_filename, frame.f_lineno).strip()
    where = f"{code.co_filename}:{frame.f_lineno} in {code.co_qualname}"
    return f"{where}: {source}" if source else where
