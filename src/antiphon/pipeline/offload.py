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

__all__ = ["offload"]

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@cache
def _executor() -> ThreadPoolExecutor:
    # Two more threads than cores: a long interim decode must not keep a final one waiting.
    return ThreadPoolExecutor((os.cpu_count() or 1) + 2, thread_name_prefix="antiphon")


async def offload(
    function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
) -> Result:
    """Run `function(*args, **kwargs)` in a thread and return what it returns.

    On a virtual loop it runs inline. When cancelled, the wait ends at once; the function runs to
    its end in its thread and its result is dropped.
    """
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_executor(), partial(function, *args, **kwargs))
