"""What every `LLM` must do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import aclosing

from antiphon.context import LLMContext, Message, ToolCall, Usage
from antiphon.services.base.llm import LLM, LLMOutput
from antiphon.testing.conformance.base import ServiceConformance

__all__ = ["LLMConformance"]


class LLMConformance(ServiceConformance[LLM]):
    """Suite for language models: say how one is made, and give it a conversation."""

    def conversation(self) -> LLMContext:
        """A conversation whose last message is answered with several words of text."""
        instructions = "You answer the telephone of a shop that is open from nine to six."
        question = Message("user", "When are you open?")
        return LLMContext(instructions, messages=[question])

    def tool_conversation(self) -> LLMContext | None:
        """A conversation with tools whose last message makes it call one; None: it never does."""
        return None

    async def _answer(self, llm: LLM, context: LLMContext) -> list[LLMOutput]:
        async with aclosing(llm.generate(context)) as stream:
            return [output async for output in stream]

    async def test_it_answers_in_text(self) -> None:
        """Pieces of text, none of them empty, that make an answer when they are put together."""
        async with self.running() as llm:
            outputs = await self._answer(llm, self.conversation())
            pieces = [output for output in outputs if isinstance(output, str)]
            assert "".join(pieces).strip(), f"no text: {outputs!r}"
            assert all(pieces), "an empty piece of text says nothing: leave it out"
            kinds = {type(output) for output in outputs}
            assert kinds <= {str, ToolCall, Usage}, f"neither text, ToolCall nor Usage: {kinds}"

    async def test_the_answer_comes_in_pieces(self) -> None:
        """The first words are spoken while the last are still being made."""
        async with self.running() as llm:
            outputs = await self._answer(llm, self.conversation())
            pieces = [output for output in outputs if isinstance(output, str)]
            words = len("".join(pieces).split())
            assert len(pieces) > 1 or words < 4, f"{words} words came in one piece: stream them"

    async def test_usage_is_told_once_at_the_end(self) -> None:
        """If it is told at all."""
        async with self.running() as llm:
            outputs = await self._answer(llm, self.conversation())
            told = [at for at, output in enumerate(outputs) if isinstance(output, Usage)]
            assert told in ([], [len(outputs) - 1]), f"usage at {told} of {len(outputs)} outputs"

    async def test_the_conversation_is_not_changed(self) -> None:
        """It is a snapshot that others read too."""
        async with self.running() as llm:
            context = self.conversation()
            before = (context.instructions, context.tools, context.messages)
            await self._answer(llm, context)
            assert before == (context.instructions, context.tools, context.messages)

    async def test_a_conversation_of_many_turns_is_answered(self) -> None:
        """With all that happens in one: an interruption, a call of a function, its result."""
        async with self.running() as llm:
            asked = self.conversation()
            call = ToolCall("call-1", "look_up", {"number": 4512})
            before = [
                Message("assistant", "Hello, how can I"),
                Message("user", "Where is my order?"),
                Message("assistant", "", calls=(call,)),
                Message("tool", "It ships tomorrow.", call_id="call-1"),
                Message("assistant", "Your order ships", interrupted=True),
            ]
            context = LLMContext(
                asked.instructions, tools=asked.tools, messages=[*before, *asked.messages]
            )
            outputs = await self._answer(llm, context)
            assert any(isinstance(output, str) for output in outputs), f"no text: {outputs!r}"

    async def test_answers_at_once_do_not_mix(self) -> None:
        """Two sessions that ask at the same time both get an answer."""
        async with self.running() as llm:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._answer(llm, self.conversation())) for _ in range(2)
                ]
            for task in tasks:
                text = "".join(output for output in task.result() if isinstance(output, str))
                assert text.strip(), "one of two answers at once is empty"

    async def test_a_tool_is_called(self) -> None:
        """Whole calls: a known name, arguments as a mapping, an id of its own."""
        context = self.tool_conversation()
        if context is None:
            return
        async with self.running() as llm:
            outputs = await self._answer(llm, context)
            calls = [output for output in outputs if isinstance(output, ToolCall)]
            assert calls, f"no tool was called: {outputs!r}"
            known = {tool.name for tool in context.tools}
            for made in calls:
                assert made.name in known, f"there is no tool {made.name!r}"
                assert isinstance(made.arguments, Mapping), f"arguments: {made.arguments!r}"
                assert made.id, "a call needs an id"
            ids = [made.id for made in calls]
            assert len(set(ids)) == len(ids), f"two calls have one id: {ids}"

    async def test_cancelled_it_stops_at_once(self) -> None:
        """Before the first word and after it; no task is left, and it can be asked again."""
        for outputs in (0, 1):
            async with self.running() as llm:
                await self.check_stops(llm.generate(self.conversation()), outputs)

    async def test_closed_it_stops_at_once(self) -> None:
        """Between two words; no task is left."""
        async with self.running() as llm:
            await self.check_closes(llm.generate(self.conversation()), 1)
