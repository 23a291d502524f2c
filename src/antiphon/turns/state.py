"""What the turn machine knows at one moment, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from antiphon.turns.events import SayRequested

__all__ = ["Phase", "Segment", "TurnState", "joined"]


class Phase(Enum):
    """Who has the floor."""

    LISTENING = "listening"
    """Nobody speaks, and nothing waits for an answer."""
    HEARING = "hearing"
    """The person speaks."""
    SETTLING = "settling"
    """The person paused; whether the turn is over is being decided."""
    THINKING = "thinking"
    """The turn is committed; nothing of the reply was heard yet."""
    SPEAKING = "speaking"
    """The reply is heard."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Words of one stretch of speech.

    Attributes:
        number: As the speech-to-text stage counts; 0 for what was typed.
        text: Never empty.
    """

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class TurnState:
    """Everything that the next decision depends on. Times are the loop's, in seconds.

    Attributes:
        phase: Who has the floor.
        deadline: When the machine wants to be called, if nothing happens before.
        voice_on: The person's voice has started and not stopped.
        voice_since: When it started; of use only while `voice_on`.
        quiet_since: When it stopped.
        words_due: Voice was heard whose final words have not come.
        pause: Number of the last pause.
        judged: Whether the question about this pause was answered.
        probability: That the turn is complete at this pause, if a turn detector could say.
        pending: Words that no reply was made for.
        asked: Words that the last reply was made for.
        answered: Words that replies before it were made for, the last few segments.
        script: What the agent shall say when the floor is free.
        turn: Number of the last committed turn.
        reply: Number of the last reply. Events of any other are stale.
        saying: What the last reply says, if it was given: no turn of the person stands behind it.
        tools: A function runs for the reply.
    """

    phase: Phase = Phase.LISTENING
    deadline: float | None = None
    voice_on: bool = False
    voice_since: float = 0.0
    quiet_since: float = 0.0
    words_due: bool = False
    pause: int = 0
    judged: bool = False
    probability: float | None = None
    pending: tuple[Segment, ...] = ()
    asked: tuple[Segment, ...] = ()
    answered: tuple[Segment, ...] = ()
    script: tuple[SayRequested, ...] = ()
    turn: int = 0
    reply: int = 0
    saying: SayRequested | None = None
    tools: bool = False


def joined(segments: tuple[Segment, ...]) -> str:
    """The words of several segments as one text."""
    return " ".join(segment.text for segment in segments)
