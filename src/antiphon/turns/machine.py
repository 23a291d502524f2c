"""Who has the floor: the table of the turn machine, and the machine that follows it.

Every pair of phase and event stands in `TABLE`, with what it does and where it may lead. The docs'
picture is made from it, and the tests hold it complete and true. Must not wait, read a clock, do
I/O or log: take an event at `now`, carry out the orders, call `tick` at `deadline`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from antiphon.frames import (
    PlaybackEnded,
    PlaybackStarted,
    Transcript,
    TurnScored,
    TypedText,
    VoiceStarted,
    VoiceStopped,
)
from antiphon.turns import transitions as do
from antiphon.turns.endpointing import TurnOptions
from antiphon.turns.events import Event, ReplyFailed, SayRequested, ToolEnded, ToolStarted
from antiphon.turns.orders import Order
from antiphon.turns.state import Phase, TurnState
from antiphon.turns.transitions import Move

__all__ = ["TABLE", "TIMERS", "Row", "TurnMachine"]

_OF_A_REPLY = (PlaybackStarted, PlaybackEnded, ReplyFailed, ToolStarted, ToolEnded)


@dataclass(frozen=True, slots=True)
class Row:
    """What an event does in a phase.

    Attributes:
        action: Pure; its docstring says what it means.
        leads_to: Phases that may follow.
    """

    action: Callable[[TurnState, Event, float, TurnOptions], Move]
    leads_to: frozenset[Phase]


def _row(action: Callable[[TurnState, Event, float, TurnOptions], Move], *phases: Phase) -> Row:
    return Row(action, frozenset(phases))


LISTENING, HEARING, SETTLING, THINKING, SPEAKING = Phase

TABLE: dict[Phase, dict[type[Event], Row]] = {
    LISTENING: {
        VoiceStarted: _row(do.hear, HEARING),
        VoiceStopped: _row(do.still_quiet, LISTENING),
        Transcript: _row(do.late_words, LISTENING, SETTLING),
        TurnScored: _row(do.ignored, LISTENING),
        TypedText: _row(do.typed, LISTENING, THINKING),
        SayRequested: _row(do.say, LISTENING, THINKING),
        PlaybackStarted: _row(do.ignored, LISTENING),
        PlaybackEnded: _row(do.ignored, LISTENING),
        ReplyFailed: _row(do.ignored, LISTENING),
        ToolStarted: _row(do.ignored, LISTENING),
        ToolEnded: _row(do.ignored, LISTENING),
    },
    HEARING: {
        VoiceStarted: _row(do.still_quiet, HEARING),
        VoiceStopped: _row(do.pause, SETTLING),
        Transcript: _row(do.words, HEARING),
        TurnScored: _row(do.ignored, HEARING),
        TypedText: _row(do.typed, HEARING, THINKING),
        SayRequested: _row(do.say, HEARING),
        PlaybackStarted: _row(do.ignored, HEARING),
        PlaybackEnded: _row(do.ignored, HEARING),
        ReplyFailed: _row(do.ignored, HEARING),
        ToolStarted: _row(do.ignored, HEARING),
        ToolEnded: _row(do.ignored, HEARING),
    },
    SETTLING: {
        VoiceStarted: _row(do.hear, HEARING),
        VoiceStopped: _row(do.still_quiet, SETTLING),
        Transcript: _row(do.words, SETTLING),
        TurnScored: _row(do.scored, SETTLING),
        TypedText: _row(do.typed, SETTLING, THINKING),
        SayRequested: _row(do.say, SETTLING),
        PlaybackStarted: _row(do.ignored, SETTLING),
        PlaybackEnded: _row(do.ignored, SETTLING),
        ReplyFailed: _row(do.ignored, SETTLING),
        ToolStarted: _row(do.ignored, SETTLING),
        ToolEnded: _row(do.ignored, SETTLING),
    },
    THINKING: {
        VoiceStarted: _row(do.resume_unheard, HEARING),
        VoiceStopped: _row(do.quiet_unheard, THINKING),
        Transcript: _row(do.words_unheard, THINKING, SETTLING, HEARING),
        TurnScored: _row(do.ignored, THINKING),
        TypedText: _row(do.typed, THINKING),
        SayRequested: _row(do.say, THINKING),
        PlaybackStarted: _row(do.heard_first, SPEAKING),
        PlaybackEnded: _row(do.finished, LISTENING, HEARING, SETTLING, THINKING),
        ReplyFailed: _row(do.finished, LISTENING, HEARING, SETTLING, THINKING),
        ToolStarted: _row(do.tool_started, THINKING),
        ToolEnded: _row(do.tool_ended, THINKING),
    },
    SPEAKING: {
        VoiceStarted: _row(do.speak_over, SPEAKING),
        VoiceStopped: _row(do.quiet_over, SPEAKING),
        Transcript: _row(do.words_over, SPEAKING),
        TurnScored: _row(do.ignored, SPEAKING),
        TypedText: _row(do.typed, SPEAKING, THINKING),
        SayRequested: _row(do.say, SPEAKING),
        PlaybackStarted: _row(do.ignored, SPEAKING),
        PlaybackEnded: _row(do.finished, LISTENING, HEARING, SETTLING, THINKING),
        ReplyFailed: _row(do.finished, LISTENING, HEARING, SETTLING, THINKING),
        ToolStarted: _row(do.tool_started, SPEAKING),
        ToolEnded: _row(do.tool_ended, SPEAKING),
    },
}
"""What every event does in every phase."""

TIMERS: dict[Phase, tuple[Callable[[TurnState, float, TurnOptions], Move], frozenset[Phase]]] = {
    HEARING: (do.heard_too_long, frozenset({HEARING, THINKING})),
    SETTLING: (do.settled, frozenset({LISTENING, HEARING, THINKING})),
    THINKING: (do.thought_too_long, frozenset({LISTENING, HEARING, SETTLING, THINKING})),
    SPEAKING: (do.barged_in, frozenset({HEARING})),
}
"""What the deadline of each phase does; nothing is ever due while listening."""


class TurnMachine:
    """Decides who has the floor.

    Args:
        options: Of turn-taking.

    Attributes:
        state: What it knows; a value, so that it can be kept and compared.
    """

    __slots__ = ("options", "state")

    def __init__(self, options: TurnOptions | None = None) -> None:
        self.options = options or TurnOptions()
        self.state = TurnState()

    @property
    def phase(self) -> Phase:
        """Who has the floor."""
        return self.state.phase

    @property
    def deadline(self) -> float | None:
        """When `tick` wants to be called, in the loop's seconds; None: only events matter."""
        return self.state.deadline

    def feed(self, event: Event, now: float) -> tuple[Order, ...]:
        """Take an event.

        Args:
            event: One of `antiphon.turns.events.Event`.
            now: The loop's time, in seconds; never less than at the call before.

        Returns:
            What to do, in order. An event of a reply that is not the last one gives nothing.
        """
        if isinstance(event, _OF_A_REPLY) and event.reply != self.state.reply:
            return ()
        row = TABLE[self.state.phase][type(event)]
        self.state, orders = row.action(self.state, event, now, self.options)
        return orders + self.tick(now)

    def tick(self, now: float) -> tuple[Order, ...]:
        """Do what is due.

        Args:
            now: The loop's time, in seconds, not less than `deadline` when called by its timer.

        Returns:
            What to do, in order; nothing if nothing is due.
        """
        if self.state.deadline is None or now < self.state.deadline:
            return ()
        action, _ = TIMERS[self.state.phase]
        self.state, orders = action(self.state, now, self.options)
        return orders
