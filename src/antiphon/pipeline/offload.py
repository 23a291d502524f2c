"""The one way off the loop: work that computes for more than 5 ms.

Holds the process's pool of threads. Must not be used for waiting: what waits is a coroutine.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import ParamSpec, TypeVar

__all__ = ["offload", "offloaded"]

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@cache
def _executor() -> ThreadPoolExecutor:
    # Two more threads than cores: a long interim decode must not keep a final one waiting.
    return ThreadPoolExecutor((os.cpu_count() or 1) + 2, thread_name_prefix="antiphon")


def offloaded(
    function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
) -> asyncio.Future[Result]:
    """Start `function(*args, **kwargs)` in a thread; on a virtual loop inline, in its next turn.

    For callers that wait for several things at once; others await `offload`.

    Returns:
        A future of what it returns. Cancelling it takes the function out of the queue; once begun,
        it runs to its end and its result is dropped.
    """
    loop = asyncio.get_running_loop()
    return loop.run_in_executor(_executor(), partial(function, *args, **kwargs))


async def offload(
    function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
) -> Result:
    """Run `function(*args, **kwargs)` in a thread and return what it returns.

    On a virtual loop it runs inline. When cancelled, the wait ends at once; the function runs to
    its end in its thread and its result is dropped.
    """
    return await offloaded(function, *args, **kwargs)
