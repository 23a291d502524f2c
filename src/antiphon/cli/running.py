"""What the commands that serve have in common: the loop, Ctrl-C, and sessions that are shown.

Must not hold the serving itself (`antiphon.server`).
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from antiphon.agent.agent import Agent
from antiphon.cli.conversation import Conversation
from antiphon.cli.printing import Printed
from antiphon.pipeline.params import PipelineParams
from antiphon.pipeline.pipeline import Pipeline
from antiphon.pipeline.processor import FrameProcessor
from antiphon.pipeline.task import PipelineTask

if TYPE_CHECKING:
    from rich.console import Console

    from antiphon.server.sessions import SessionFactory

__all__ = ["run", "shown"]


def run(main: Coroutine[Any, Any, None]) -> None:
    """Run `main` until it ends or Ctrl-C does, on uvloop where it is installed.

    Raises:
        Exception: The first that ended `main`, without the groups around it.
    """
    make_loop: Callable[[], asyncio.AbstractEventLoop] | None = None
    if sys.platform != "win32":
        with suppress(ImportError):
            import uvloop

            make_loop = uvloop.new_event_loop
    try:
        with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=make_loop) as runner:
            runner.run(main)
    except BaseExceptionGroup as errors:
        first: BaseException = errors
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from first.__cause__


def shown(agent: Callable[[], Agent], console: Console) -> SessionFactory:
    """Make a session factory whose conversations are printed, turn by turn.

    Args:
        agent: Gives the agent that new sessions get.
        console: Where to.
    """

    def begin(
        input: FrameProcessor, output: FrameProcessor, params: PipelineParams
    ) -> PipelineTask:
        # Several may talk at once: only lines that stay, no changing one.
        conversation = Conversation(Printed(console, live=False))
        stages = [input, *agent().stages(), output, _LastWords(conversation)]
        task = PipelineTask(Pipeline(stages), params, observers=[conversation])
        conversation.watch(task)
        return task

    return begin


class _LastWords(FrameProcessor):
    """Completes a conversation that ends in the middle of an answer."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    async def cleanup(self) -> None:
        """The session is over, and the stages above have said what was heard last."""
        self._conversation.close()
