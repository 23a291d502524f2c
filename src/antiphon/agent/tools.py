"""Functions that the model may call, and running them.

A call runs to its end whoever still listens: its effects are real. Must not decide when an answer
is spoken.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from antiphon.context import ToolCall, ToolDescription
from antiphon.frames import ToolCallEnded
from antiphon.options import Declared, within

__all__ = ["Tool", "Toolbox", "run_tool"]


@dataclass(frozen=True, kw_only=True)
class Tool(Declared):
    """A function that the model may call.

    Attributes:
        name: As the model names it.
        description: What it does and when to use it, in words for the model.
        run: Given the arguments as a mapping; gives a sentence that can be spoken.
        parameters: JSON schema of its arguments.
        timeout: Seconds that it may take.
    """

    name: str
    description: str
    run: Callable[[Mapping[str, Any]], Awaitable[str]]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    timeout: float = 20.0

    def __post_init__(self) -> None:
        within("Tool", "timeout", self.timeout, 0.1, 600.0, "seconds")

    def describe(self) -> ToolDescription:
        """What the model is told of it."""
        return ToolDescription(self.name, self.description, self.parameters)


async def run_tool(tools: Mapping[str, Tool], reply: int, call: ToolCall) -> ToolCallEnded:
    """Run one call to its end.

    Whatever happens, the model gets a result that it can act on. When cancelled, the function is
    cancelled too and there is none.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    tool = tools.get(call.name)
    failed = True
    if tool is None:
        result = f"There is no function {call.name}. Known: {', '.join(sorted(tools)) or 'none'}."
    else:
        try:
            async with asyncio.timeout(tool.timeout):
                result = await tool.run(call.arguments)
            failed = False
        except TimeoutError:
            result = f"The function {call.name} took longer than {tool.timeout:g} seconds."
        # The author of the tool may raise anything; the model, and so the caller, is told.
        except Exception as error:  # noqa: BLE001
            result = f"The function {call.name} failed: {type(error).__name__}."
    return ToolCallEnded(reply, call, result, loop.time() - started, failed)


class Toolbox:
    """The functions of one session, each doing one thing at a time for the same arguments.

    Args:
        tools: With names of their own.
    """

    def __init__(self, tools: Sequence[Tool]) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._running: dict[str, asyncio.Future[ToolCallEnded]] = {}

    async def run(
        self, reply: int, calls: Sequence[ToolCall]
    ) -> AsyncGenerator[ToolCallEnded, None]:
        """Run calls one after the other, and yield the end of each.

        A call for what another reply had begun and is still running, or that stands twice among
        `calls`, gets the result of that one run: nothing is ordered twice because the person
        interrupted. When cancelled, the function that runs is cancelled too.
        """
        done: dict[str, ToolCallEnded] = {}
        for call in calls:
            key = f"{call.name} {_canonical(call.arguments)}"
            if key not in done:
                done[key] = await self._once(key, reply, call)
            yield replace(done[key], reply=reply, call=call)

    async def _once(self, key: str, reply: int, call: ToolCall) -> ToolCallEnded:
        running = self._running.get(key)
        if running is not None:
            return await asyncio.shield(running)
        future = self._running[key] = asyncio.get_running_loop().create_future()
        try:
            ended = await run_tool(self._tools, reply, call)
            future.set_result(ended)
        finally:
            future.cancel()
            del self._running[key]
        return ended


def _canonical(value: Any) -> str:
    """The same text for equal arguments, in whatever order the model wrote them."""
    match value:
        case Mapping():
            pairs = sorted(f"{key!r}: {_canonical(item)}" for key, item in value.items())
            return f"{{{', '.join(pairs)}}}"
        case list() | tuple():
            return f"[{', '.join(map(_canonical, value))}]"
    return repr(value)
