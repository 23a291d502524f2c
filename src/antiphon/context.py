"""The conversation as data: who said what, which tools there are, what they were asked and gave.

Holds values and the one place where they are appended to. Must not hold anything that waits, nor
any provider's own form of them: conversions live in `antiphon.services`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["LLMContext", "Message", "Role", "ToolCall", "ToolDescription", "Usage"]

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolDescription:
    """A function that the model may call.

    Attributes:
        name: As the model names it.
        description: What it does and when to use it, in words for the model.
        parameters: JSON schema of its arguments.
    """

    name: str
    description: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model asks for a function to be run.

    Attributes:
        id: Unique within the conversation; the result carries it too.
        name: Of the function.
        arguments: As the model gave them, not yet validated.
    """

    id: str
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Usage:
    """What one request to a service used, in the units that it bills.

    Attributes:
        input_tokens: Tokens read, those from a cache included.
        cached_tokens: Of these, read from the provider's cache.
        output_tokens: Tokens written.
        characters: Characters spoken.
        audio_seconds: Seconds of audio heard.
        estimated: The provider gave no figure, so this one was counted here.
    """

    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    characters: int = 0
    audio_seconds: float = 0.0
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of the conversation.

    Attributes:
        role: Who speaks.
        text: What the person said as far as it was heard, or the agent as far as it was played.
        calls: Functions that the assistant asked for.
        call_id: For the role ``"tool"``: the call that this is the result of.
        interrupted: The agent was cut off here; `text` ends with the last word that was played.
    """

    role: Role
    text: str
    calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None
    interrupted: bool = False


class LLMContext:
    """The conversation so far, in order.

    Args:
        instructions: What the agent is and how it should speak; the system message.
        tools: Functions that the model may call.
        messages: What was said before, for a conversation that goes on.
    """

    def __init__(
        self,
        instructions: str = "",
        *,
        tools: Sequence[ToolDescription] = (),
        messages: Sequence[Message] = (),
    ) -> None:
        self.instructions = instructions
        self.tools = tuple(tools)
        self._messages = list(messages)

    @property
    def messages(self) -> tuple[Message, ...]:
        """Everything that was said, oldest first, without the instructions."""
        return tuple(self._messages)

    def append(self, message: Message) -> None:
        """Add what was said last."""
        self._messages.append(message)

    def withdraw_user_turn(self) -> None:
        """Take the person's last message back: they went on before any answer was heard.

        Functions that ran for it meanwhile have run: their calls and results stay.
        """
        for index in reversed(range(len(self._messages))):
            message = self._messages[index]
            if message.role == "user":
                del self._messages[index]
                return
            if message.role == "assistant" and not message.calls:
                return

    def last(self, role: Role) -> Message | None:
        """The newest message of `role`, or None."""
        return next((m for m in reversed(self._messages) if m.role == role), None)

    def copy(self) -> LLMContext:
        """A snapshot that later messages do not change: what one request reads."""
        return LLMContext(self.instructions, tools=self.tools, messages=self._messages)
