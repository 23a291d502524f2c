"""What the turn machine is told. Most of it are frames as they flow; the rest is defined here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from antiphon.frames import (
    PlaybackEnded,
    PlaybackStarted,
    Transcript,
    TurnScored,
    TypedText,
    VoiceStarted,
    VoiceStopped,
)

__all__ = ["EVENTS", "Event", "ReplyFailed", "SayRequested", "ToolEnded", "ToolStarted"]


@dataclass(frozen=True, slots=True)
class ReplyFailed:
    """A service failed while it worked for the reply, which is closed by now."""

    reply: int


@dataclass(frozen=True, slots=True)
class SayRequested:
    """The agent shall say a given text when the floor is free.

    Attributes:
        text: What to say.
        is_greeting: It is of use only if the person has said nothing yet.
    """

    text: str
    is_greeting: bool = False


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """A function runs for the reply: no sound is expected until it ends."""

    reply: int


@dataclass(frozen=True, slots=True)
class ToolEnded:
    """The functions that ran for the reply are done."""

    reply: int


Event: TypeAlias = (
    VoiceStarted
    | VoiceStopped
    | Transcript
    | TurnScored
    | TypedText
    | SayRequested
    | PlaybackStarted
    | PlaybackEnded
    | ReplyFailed
    | ToolStarted
    | ToolEnded
)

EVENTS: tuple[type[Event], ...] = (
    VoiceStarted,
    VoiceStopped,
    Transcript,
    TurnScored,
    TypedText,
    SayRequested,
    PlaybackStarted,
    PlaybackEnded,
    ReplyFailed,
    ToolStarted,
    ToolEnded,
)
"""Every kind of event, for the table's completeness."""
