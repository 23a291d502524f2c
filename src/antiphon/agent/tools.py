"""Functions that the model may call, and running them.

A call runs to its end whoever still listens: its effects are real. Must not decide when an answer
is spoken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from antiphon.context import ToolCall, ToolDescription
from antiphon.frames import ToolCallEnded
from antiphon.options import Declared, within

__all__ = ["Tool", "run_tool"]


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
