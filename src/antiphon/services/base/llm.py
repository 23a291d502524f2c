"""`LLM`: the conversation in, text and tool calls out; and the stage that runs it.

Holds the contract and one task for each reply. Must not change the conversation: it is given a
snapshot, and what was said is decided by what is played.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeAlias

from antiphon.context import LLMContext, ToolCall, Usage
from antiphon.frames import (
    Direction,
    Frame,
    ReplyRequested,
    TextDelta,
    TextEnded,
    ToolCallRequested,
    UsageReported,
)
from antiphon.pipeline.processor import FrameProcessor
from antiphon.pipeline.replies import ReplyScope
from antiphon.services.base.service import Service

__all__ = ["LLM", "LLMOutput", "LanguageModel"]

LLMOutput: TypeAlias = str | ToolCall | Usage
"""Characters of the answer, a function to be run, or what the request used."""


class LLM(Service):
    """Answers a conversation."""

    @abstractmethod
    def generate(self, context: LLMContext) -> AsyncGenerator[LLMOutput, None]:
        """Answer the conversation.

        Yields pieces of text as they come, with the spaces that belong to them, whole tool calls,
        and at the end the usage where it is known. When closed or cancelled, it stops the
        provider's work within 50 ms.

        Args:
            context: A snapshot. Its last message is what is to be answered.

        Raises:
            RemoteError: The provider failed.
        """

    def stage(self) -> FrameProcessor:
        """The stage that runs it."""
        return LanguageModel(self)


class LanguageModel(FrameProcessor):
    """The stage that answers each `ReplyRequested` in the reply's scope.

    Args:
        llm: Any language model service.
    """

    def __init__(self, llm: LLM) -> None:
        self._llm = llm

    async def setup(self) -> None:
        """Prepare the service."""
        await self._llm.prewarm()

    def process(self, frame: Frame, direction: Direction) -> None:
        """Start the generation for a `ReplyRequested`; hand everything on."""
        self.push(frame, direction)
        if isinstance(frame, ReplyRequested):
            scope = self.task.replies.get(frame.reply)
            if scope is not None:
                scope.start(self._generate, scope, frame.context, stage=self._llm.name)

    async def _generate(self, scope: ReplyScope, context: LLMContext) -> None:
        reply, has_text, has_calls = scope.number, False, False
        async with aclosing(self._llm.generate(context)) as stream:
            async for item in stream:
                match item:
                    case str():
                        scope.mark("llm_first_token")
                        has_text = True
                        self.push(TextDelta(reply, item))
                    case ToolCall():
                        scope.mark("llm_first_token")
                        has_calls = True
                        self.push(ToolCallRequested(reply, item), Direction.UP)
                    case Usage():
                        if self.task.params.enable_usage_metrics:
                            self.push(UsageReported(self._llm.name, item))
        if not has_calls:
            self.push(TextEnded(reply))
        elif has_text:
            # The reply goes on after the functions: a line break lets what was said be spoken now.
            self.push(TextDelta(reply, "\n"))
        self.push(TextEnded(reply), Direction.UP)
