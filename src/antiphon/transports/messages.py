"""What a client may say in JSON: the text messages of our WebSocket, read strictly.

Holds the parser from text to values. Must not hold what follows from a message.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypeAlias

from antiphon.errors import TransportError

__all__ = ["ClientMessage", "HangUp", "NotUnderstood", "Start", "Typed", "parse"]

KNOWN = "send a JSON object with type start, text or end"
_LOWEST, _HIGHEST, _STEP = 8_000, 48_000, 50
_ODD_RATE = 11_025
"""The one usual rate that is no multiple of 50 Hz; others would need filters of absurd length."""


class NotUnderstood(ValueError):
    """A text message that means nothing. Its text is for the client."""


@dataclass(frozen=True, slots=True)
class Start:
    """How the client's sound comes and how it wants the agent's; None: as the server has it.

    Attributes:
        sample_rate: Of the client's sound, in Hz.
        agent_sample_rate: Of the agent's, in Hz.
    """

    sample_rate: int | None
    agent_sample_rate: int | None


@dataclass(frozen=True, slots=True)
class Typed:
    """The person wrote something."""

    text: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """The client wants to end: what is being said is said to its end."""


ClientMessage: TypeAlias = Start | Typed | HangUp


def parse(text: str) -> ClientMessage:
    """Read one text message. Fields that it does not know are ignored: clients may be newer.

    Raises:
        NotUnderstood: It is no JSON object of a known type.
        TransportError: A sample rate that cannot be served; the session cannot begin so.
    """
    try:
        message = json.loads(text)
    # Deep nesting ends in RecursionError, numbers of thousands of digits in ValueError.
    except (ValueError, RecursionError):
        raise NotUnderstood(f"this is no JSON; {KNOWN}") from None
    match message:
        case {"type": "start"}:
            return Start(_rate(message, "sample_rate"), _rate(message, "agent_sample_rate"))
        case {"type": "text", "text": str() as typed} if typed.strip():
            # JSON can carry halves of surrogate pairs, which no encoder after us would take.
            return Typed(typed.strip().encode("utf-8", "replace").decode())
        case {"type": "text"}:
            raise NotUnderstood('a message of type text needs a "text" with something in it')
        case {"type": "end"}:
            return HangUp()
    raise NotUnderstood(f"this means nothing here; {KNOWN}")


def _rate(message: dict[str, Any], name: str) -> int | None:
    value = message.get(name)
    if value is None:
        return None
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if is_whole and _LOWEST <= value <= _HIGHEST and (value % _STEP == 0 or value == _ODD_RATE):
        return int(value)
    raise TransportError(
        "unsupported-rate",
        f"{name} must be a whole number of Hz from {_LOWEST} to {_HIGHEST}, such as 8000, 16000, "
        f"24000, 44100 or 48000, not {repr(value)[:40]}",
        close_code=1003,
    )
