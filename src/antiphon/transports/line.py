"""What a person's line may do: how fast, how much, how long; and the silence where it pauses.

Holds the rules of a wire over which sound comes in messages, as a pure machine: told of messages
at `now`, it says when it wants to be called next. Must not hold a socket, nor read a clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from antiphon.errors import TransportError
from antiphon.options import Declared, within

__all__ = ["PACKET", "Line", "LineOptions"]

PACKET = 0.02
"""Seconds of sound in one packet: what telephony, WebRTC and our WebSocket use."""

STALL = 30.0
"""Seconds of sound that may come late at once: it waited while models were loaded (20 s at most,
see `PipelineParams.start_timeout`) or while the network stood still."""

MESSAGES_PER_SECOND = 1000
"""Of any kind. A browser that sends each 128 samples at 48 kHz as they are makes 375."""

_HAIR = 1e-6
"""Seconds that sums of floats may be off."""


@dataclass(frozen=True, kw_only=True)
class LineOptions(Declared):
    """Limits of a line, and how pauses in the sound are bridged.

    Attributes:
        start_wait: Seconds that the first message, which may set the rates, is waited for.
        max_message: Bytes of one message.
        max_ahead: Seconds by which sound may come faster than real time.
        max_texts: Text messages per second.
        max_bad_messages: Messages that mean nothing, in one session, before it is closed.
        max_idle: Seconds without sound or text while the agent is silent too.
        max_session: Seconds that a session lasts.
        silence_after: Seconds without sound, after some, before silence takes its place; a
            person who lets go of the talk button, or a file that ended, sends nothing any more.
        silence_for: Seconds of silence that are inserted then: enough to end a turn, which takes
            at most 1.2 s (see `antiphon.turns`).
        send_timeout: Seconds in which the far side must take a message.

    Raises:
        OptionError: For an unknown name or a value out of range.
    """

    start_wait: float = 0.5
    max_message: int = 65_536
    max_ahead: float = 3.0
    max_texts: int = 50
    max_bad_messages: int = 20
    max_idle: float = 60.0
    max_session: float = 3600.0
    silence_after: float = 0.25
    silence_for: float = 2.5
    send_timeout: float = 5.0

    def __post_init__(self) -> None:
        owner = "LineOptions"
        within(owner, "start_wait", self.start_wait, 0.0, 10, "seconds")
        within(owner, "max_message", self.max_message, 1_024, 16_777_216, "bytes")
        within(owner, "max_ahead", self.max_ahead, 0.5, 60, "seconds")
        within(owner, "max_texts", self.max_texts, 1, 1_000, "messages per second")
        within(owner, "max_bad_messages", self.max_bad_messages, 1, 1_000, "messages")
        within(owner, "max_idle", self.max_idle, 1, 86_400, "seconds")
        within(owner, "max_session", self.max_session, 1, 604_800, "seconds")
        within(owner, "silence_after", self.silence_after, 0.04, 5, "seconds")
        within(owner, "silence_for", self.silence_for, 0.0, 60, "seconds")
        within(owner, "send_timeout", self.send_timeout, 0.1, 60, "seconds")


class _Pace:
    """How far something that may take `credit` seconds of rest is ahead of its allowed rate."""

    __slots__ = ("_credit", "_until")

    def __init__(self, now: float, credit: float) -> None:
        self._until = now
        self._credit = credit

    def add(self, seconds: float, now: float) -> float:
        """Enter what should take `seconds`; returns the seconds that it is ahead."""
        self._until = max(self._until, now - self._credit) + seconds
        return self._until - now


class Line:
    """Watches one line.

    Every `take_*` is told of what came at `now`, in seconds; call `tick` at `deadline`.

    Args:
        options: The limits.
        now: When the line was opened.
    """

    def __init__(self, options: LineOptions, now: float) -> None:
        self._options = options
        self._ends_at = now + options.max_session
        self._active_at = now
        self._sound = _Pace(now, STALL)
        self._messages = _Pace(now, STALL)
        self._texts = _Pace(now, 0.0)
        self._bad = 0
        self._heard_until = math.inf
        """Until when the sound that came lasts; before any came, no silence follows it."""
        self._inserted = 0

    def take_message(self, n_bytes: int, now: float) -> None:
        """A message came.

        Raises:
            TransportError: It is too large, or one of too many.
        """
        limit = self._options.max_message
        if n_bytes > limit:
            problem = f"a message may have {limit} bytes, not {n_bytes}"
            raise TransportError("message-too-big", problem, close_code=1009)
        if self._messages.add(1 / MESSAGES_PER_SECOND, now) > 1 + _HAIR:
            problem = f"send at most {MESSAGES_PER_SECOND} messages per second"
            raise TransportError("message-rate", problem)

    def take_sound(self, seconds: float, now: float) -> None:
        """Sound of that duration came.

        Raises:
            TransportError: It comes faster than it can have been spoken.
        """
        limit = self._options.max_ahead
        if self._sound.add(seconds, now) > limit + _HAIR:
            problem = f"send sound in real time, at most {limit:g} s ahead"
            raise TransportError("audio-rate", problem)
        begins = now if math.isinf(self._heard_until) else max(self._heard_until, now)
        # Bounded: sound that waited for the models comes at once and says nothing of the future.
        self._heard_until = min(begins + seconds, now + limit)
        self._inserted = 0
        self._active_at = now

    def take_text(self, now: float) -> None:
        """A text message came, whatever it says.

        Raises:
            TransportError: Too many come.
        """
        limit = self._options.max_texts
        self._active_at = now
        if self._texts.add(1 / limit, now) > 1 + _HAIR:
            raise TransportError("text-rate", f"send at most {limit} text messages per second")

    def take_bad(self) -> None:
        """A message came that means nothing.

        Raises:
            TransportError: It was the last one that is borne.
        """
        self._bad += 1
        if self._bad >= self._options.max_bad_messages:
            problem = f"{self._bad} messages could not be understood"
            raise TransportError("bad-messages", problem)

    @property
    def deadline(self) -> float:
        """When `tick` wants to be called, in seconds."""
        return min(self._ends_at, self._active_at + self._options.max_idle, self._silence_at())

    def tick(self, now: float, *, is_busy: bool) -> int:
        """Time has passed.

        Args:
            now: At least `deadline`, else nothing happens.
            is_busy: The agent thinks or speaks: a person who listens is not idle.

        Returns:
            Packets of silence, of `PACKET` seconds, that are due now.

        Raises:
            TransportError: The session is over: it lasted long enough, or nobody is there.
        """
        options = self._options
        if now >= self._ends_at:
            problem = f"a session lasts at most {options.max_session:g} s"
            raise TransportError("session-length", problem, close_code=1000)
        if now >= self._active_at + options.max_idle:
            if not is_busy:
                problem = f"neither sound nor text came for {options.max_idle:g} s"
                raise TransportError("idle", problem, close_code=1000)
            self._active_at = now
        if now < self._silence_at():
            return 0
        passed = math.floor((now - self._heard_until + _HAIR) / PACKET)
        due = min(passed, self._most_silence()) - self._inserted
        self._inserted += due
        return due

    def _most_silence(self) -> int:
        return round(self._options.silence_for / PACKET)

    def _silence_at(self) -> float:
        """When the next packet of silence is due. The first ones make up for the wait."""
        if self._inserted >= self._most_silence():
            return math.inf
        if not self._inserted:
            return self._heard_until + self._options.silence_after
        return self._heard_until + (self._inserted + 1) * PACKET
