"""What Whisper's sessions are made of: recent sound, stretches of speech, and when to read ahead.

Holds values and counting. Must not hold what happens when (`whisper_session`). Imports numpy: it is
imported when the model is loaded.

Positions are samples at 16 kHz from the session's first, as the voice detector counts them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from antiphon.frames import Transcript
from antiphon.models.whisper_engine import Reading, settled_frames

__all__ = ["RATE", "Final", "InterimClock", "Interims", "Job", "Segment", "Sound", "Words"]

RATE = 16_000

_LONGEST_PAUSE = round(1.5 * RATE)
"""Samples of a pause after which a segment does not go on: to read its silence again would be
waste."""
_LONGEST_JOINED = 12 * RATE
"""Samples of a segment that still goes on after a pause: a longer one costs more to read again than
the next words gain by what stands before them."""
_CUT_BLOCK = round(0.1 * RATE)
"""Samples whose loudness decides where a long segment is cut: a gap between two words."""
_QUIET = 0.1
"""Share of the loudest 0.1 s of a segment below which there is a pause: 20 dB."""
_QUIET_FOR = round(0.1 * RATE)
"""Samples of quiet that make a pause: less is a part of many words."""
_TAIL = round(0.12 * RATE)
"""Samples that the voice detector may count as voice after the last sound of it, at most. Source:
measured on spoken orders and on the embedded voice: 0.03 to 0.1 s."""
_RETRY = round(0.1 * RATE)
"""Samples until an interim is tried again for which there was no place."""


@dataclass(frozen=True, slots=True)
class Interims:
    """When words are read before the voice stops.

    Attributes:
        period: Seconds of sound between two.
        cpu: Share of one core that they may take while there is voice; 0 for none.
    """

    period: float
    cpu: float


class InterimClock:
    """Says when the next interim of a segment is due.

    That is one period after the last one, or at once in a pause, since those may be the last words:
    the voice detector is not sure yet then, so that they are often read when they are asked for.

    Args:
        options: Period and share.
        begin: Where the voice began.
    """

    def __init__(self, options: Interims, begin: int) -> None:
        self._period = round(options.period * RATE)
        self._cpu = options.cpu
        self._begin = begin
        self._next = begin + self._period
        self._loudest = 0.0
        self._loud_to = begin
        self._is_quiet = False
        self._spent = 0.0
        self._cost = 0.0

    @property
    def is_off(self) -> bool:
        """Whether there are none at all."""
        return self._cpu == 0.0

    def is_due(self, sound: Sound) -> bool:
        """Whether to read now; to be asked whenever sound has come."""
        level = sound.level(_QUIET_FOR)
        self._loudest = max(self._loudest, level)
        was_quiet, self._is_quiet = self._is_quiet, level < _QUIET * self._loudest
        if not self._is_quiet:
            self._loud_to = sound.end
        if self._is_quiet and not was_quiet:
            self._next = sound.end
        elapsed = (sound.end - self._begin) / RATE
        return sound.end >= self._next and self._spent + self._cost <= self._cpu * elapsed

    def voice_end(self, stop: int) -> int:
        """Say where the voice fell silent that stopped at `stop` for the voice detector."""
        if self.is_off:
            return stop
        return max(stop - _TAIL, min(stop, self._loud_to))

    def voice_on(self, at: int) -> None:
        """The voice detector is sure of a voice, up to `at`."""
        self._loud_to = max(self._loud_to, at)

    def begun(self, at: int) -> None:
        """One is being read."""
        self._next = at + self._period

    def refused(self, at: int) -> None:
        """There was no place for it."""
        self._next = at + _RETRY

    def took(self, seconds: float) -> None:
        """It was read, in so many seconds."""
        self._cost = seconds
        self._spent += seconds


@dataclass(slots=True, eq=False)
class Segment:
    """A stretch of speech, perhaps with short pauses.

    Attributes:
        number: Counted from 1.
        begin: Its first sample.
        clock: For its interims.
        stop: Where the voice stopped last, once it did.
        resumed: Where the part after that pause begins, while the voice is on again.
        is_owed: The voice stopped, and no final was given for that yet.
        text: Words of its last final.
        shown: Words of its last transcript.
        known: Frames that were computed for readings before.
        read_to: Where the last reading ended.
        read_text: What it heard.
    """

    number: int
    begin: int
    clock: InterimClock
    stop: int = 0
    resumed: int | None = None
    is_owed: bool = False
    text: str = ""
    shown: str = ""
    known: NDArray[np.float32] = field(default_factory=settled_frames)
    read_to: int = 0
    read_text: str = ""

    def may_go_on(self, at: int) -> bool:
        """Whether a voice that starts at `at`, after a pause, belongs to it."""
        return at - self.stop < _LONGEST_PAUSE and at - self.begin < _LONGEST_JOINED

    def is_heard(self, end: int, limit: int) -> bool:
        """Whether a reading up to `end` holds all words up to the stop, and none beyond `limit`."""
        return self.clock.voice_end(self.stop) <= end <= limit

    def keep(self, reading: Reading, end: int) -> None:
        """Remember a reading up to `end`, unless a longer one came before it."""
        if end >= self.read_to:
            self.known = reading.energies
            self.read_to, self.read_text = end, reading.text


@dataclass(slots=True, eq=False)
class Final:
    """Final words of a segment; `text` is None until they are read."""

    segment: Segment
    text: str | None = None


@dataclass(slots=True, eq=False)
class Job:
    """A reading under way.

    Attributes:
        segment: What is read.
        end: Up to where.
        began: When, on the loop's clock.
        future: Its result; None if there was no place for it.
        final: The final that it is read for, if any.
        is_interim: It was begun before the voice stopped; it may have become a final since.
        is_dropped: Nobody wants it any more.
    """

    segment: Segment
    end: int
    began: float
    future: asyncio.Future[Reading | None]
    final: Final | None
    is_interim: bool
    is_dropped: bool = False


class Words:
    """What is said of segments: interims at once, finals in the order of their segments.

    Attributes:
        finals: Those that are promised and not said yet.
        said: What was said and not taken yet.
        changed: Set when there may be something new.
    """

    def __init__(self) -> None:
        self.finals: deque[Final] = deque()
        self.said: deque[Transcript] = deque()
        self.changed = asyncio.Event()

    def promise(self, segment: Segment) -> Final:
        """A final of a segment will come, after those that were promised before."""
        final = Final(segment)
        self.finals.append(final)
        return final

    def withdraw(self, segment: Segment) -> None:
        """The segment goes on: its final will come later."""
        self.finals = deque(final for final in self.finals if final.segment is not segment)

    def give(self, final: Final, text: str) -> None:
        """The words of a final are known; say all finals up to the first that is not."""
        final.text = text
        while self.finals and self.finals[0].text is not None:
            first = self.finals.popleft()
            segment = first.segment
            # Words that were final once are not lost to a cough that was read with them.
            segment.text = segment.shown = first.text or segment.text
            segment.is_owed = False
            self._say(Transcript(segment.text, True, segment.number))

    def show(self, segment: Segment, text: str) -> None:
        """Say interim words, unless they say nothing new."""
        if text and text != segment.shown:
            segment.shown = text
            last = self.said[-1] if self.said else None
            if last is not None and not last.final and last.segment == segment.number:
                self.said.pop()
            self._say(Transcript(text, False, segment.number))

    def _say(self, transcript: Transcript) -> None:
        self.said.append(transcript)
        self.changed.set()


class Sound:
    """The recent sound of a session: mono s16le at 16 kHz.

    Attributes:
        begin: Position of the first sample that is kept.
    """

    def __init__(self) -> None:
        self._pcm = bytearray()
        self.begin = 0

    @property
    def end(self) -> int:
        """Samples heard so far."""
        return self.begin + len(self._pcm) // 2

    def add(self, pcm: bytes) -> None:
        """Take what comes next."""
        self._pcm += pcm

    def forget(self, before: int) -> None:
        """Let go of samples before a position."""
        if before > self.begin:
            del self._pcm[: 2 * (before - self.begin)]
            self.begin = before

    def pcm(self, begin: int, end: int) -> bytes:
        """Copy the sound from `begin` to `end`, as far as it is kept."""
        with memoryview(self._pcm) as kept:
            return bytes(kept[2 * max(begin - self.begin, 0) : 2 * max(end - self.begin, 0)])

    def level(self, samples: int) -> float:
        """Tell the loudness of the last samples, as their root mean square."""
        last = self._last(samples)
        return float(np.sqrt(np.square(last).mean())) if len(last) else 0.0

    def quietest(self, samples: int) -> int:
        """Find the middle of the quietest 0.1 s among the last samples."""
        last = self._last(samples)
        blocks = last[: len(last) // _CUT_BLOCK * _CUT_BLOCK].reshape(-1, _CUT_BLOCK)
        if not len(blocks):
            return self.end
        number = int(np.square(blocks).mean(axis=1).argmin())
        return self.end - len(last) + number * _CUT_BLOCK + _CUT_BLOCK // 2

    def _last(self, samples: int) -> NDArray[np.float32]:
        return np.frombuffer(self.pcm(self.end - samples, self.end), "<i2").astype(np.float32)
