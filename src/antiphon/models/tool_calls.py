"""Tools without a language model: calls from a person's words, questions for what is missing.

Pure: a conversation in, calls and sentences out. Must not hold which tool is meant (`retrieval`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile

from antiphon.context import LLMContext, ToolCall, ToolDescription
from antiphon.models.arguments import find_arguments, question_for

__all__ = ["asked_tool", "call_or_ask", "unspoken_results"]

_FAILED = re.compile(r"(?:The function|There is no function) ")
"""How `antiphon.agent.tools` begins what it tells a model, not a caller, about a failure."""
_SORRY = "Sorry, I could not look that up just now."


def call_or_ask(
    tool: ToolDescription, context: LLMContext, words: Sequence[str], *, is_answer: bool = False
) -> ToolCall | str:
    """Call a tool with the arguments that are in a person's words, or ask for one that is not.

    Args:
        tool: The tool.
        context: The conversation, for the number of the call.
        words: What the person said about it, the newest last: it wins.
        is_answer: The newest answers a question for an argument.

    Returns:
        The call, or a question such as "Which order number?".
    """
    arguments: dict[str, object] = {}
    missing: list[str] = []
    for number, text in enumerate(words, 1):
        found, missing = find_arguments(
            tool.parameters, text, is_answer=is_answer and number == len(words)
        )
        arguments |= found
    missing = [name for name in missing if name not in arguments]
    if missing:
        return question_for(missing[0], tool.parameters)
    calls = sum(len(message.calls) for message in context.messages)
    return ToolCall(f"call_{calls + 1}", tool.name, arguments)


def asked_tool(context: LLMContext) -> ToolDescription | None:
    """Find the tool for which the agent asked for an argument just now."""
    last = context.last("assistant")
    if last is None or not last.text:
        return None
    for tool in context.tools:
        for name in tool.parameters.get("required", ()):
            question = question_for(name, tool.parameters)
            # Cut off in the middle, it was still asked; other sentences may stand before it.
            if last.text.endswith(question) or question.startswith(last.text):
                return tool
    return None


def unspoken_results(context: LLMContext) -> list[str]:
    """Give what tools returned since the agent last said something, ready to be spoken."""
    newest_first = reversed(context.messages)
    since = takewhile(lambda m: m.role != "assistant" or not m.text, newest_first)
    texts = [message.text for message in since if message.role == "tool"]
    return [_SORRY if _FAILED.match(text) else text for text in reversed(texts)]
