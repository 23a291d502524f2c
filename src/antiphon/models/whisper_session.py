"""What one session's Whisper listens to, and when it says what it heard.

Holds where segments begin and end, what is read of them and which words count. Decides and never
waits, but for `next`. Must not decode (`whisper_engine`). Imports numpy: it is imported when the
model is loaded.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from antiphon.audio.formats import WIDEBAND
from antiphon.errors import UsageError
from antiphon.frames import Transcript, TurnCommitted, UserAudio, VoiceStarted, VoiceStopped
from antiphon.models.whisper_engine import Reading, WhisperEngine, first_sample, settled_frames
from antiphon.models.whisper_segments import (
    RATE,
    Final,
    InterimClock,
    Interims,
    Job,
    Segment,
    Sound,
    Words,
)
from antiphon.pipeline.offload import offloaded
from antiphon.services.base.stt import STTInput

__all__ = ["WhisperSession"]

_BEFORE = round(0.3 * RATE)
"""Samples before the voice that belong to it. Source: measured on 50 spoken orders: 6.6 % wrong
words; 7.5 % with 0.1 s, 10.3 % with none."""
_AFTER = round(0.1 * RATE)
"""Samples after the voice that belong to it. Source: likewise 6.6 %; 6.8 % with none, 9.0 % with
0.2 s."""
_KEPT = round(1.4 * RATE)
"""Samples that are kept in silence: `_BEFORE`, and what a voice detector needs to be sure, 1 s at
most."""
_LONGEST = 25 * RATE
"""Samples after which a segment is cut. Source: Whisper hears 30 s at once."""
_STEP = WIDEBAND.n_bytes(0.1)
"""Bytes after which a segment is looked at, if sound comes in larger pieces."""
_CUT_WITHIN = 6 * RATE
"""Samples at its end in which the place is looked for."""

_Read: TypeAlias = Callable[[NDArray[np.float32], bytes, Sequence[str]], Reading | None]
_Start: TypeAlias = Callable[
    [_Read, NDArray[np.float32], bytes, Sequence[str]], asyncio.Future[Reading | None]
]


class WhisperSession:
    """One session.

    Args:
        engine: Reads.
        prompt: For every reading.
        interims: When words are read before the voice stops.
        start: Starts a reading and gives its future.
    """

    def __init__(
        self,
        engine: WhisperEngine,
        prompt: Sequence[str],
        interims: Interims,
        *,
        start: _Start = offloaded,
    ) -> None:
        self._engine = engine
        self._prompt = prompt
        self._interims = interims
        self._start = start
        self._now = asyncio.get_running_loop().time
        self._sound = Sound()
        # The segment that is spoken, or that may go on after the pause.
        self._segment: Segment | None = None
        self._is_on = False
        self._number = 0
        self._last_stop = 0
        self._jobs: list[Job] = []
        self._words = Words()
        self._has_ended = False
        self._is_closed = False
        self.failure: BaseException | None = None
        """What ended it before its sound did."""

    # ---- what the service calls ------------------------------------------------------------

    def hear(self, item: STTInput) -> None:
        """Take the next input.

        Raises:
            UsageError: It is sound of another format than mono s16le at 16 kHz.
        """
        match item:
            case UserAudio():
                self._hear_sound(item)
            case VoiceStarted(at_sample=at):
                self._start_voice(at)
            case VoiceStopped(at_sample=at):
                self._stop_voice(at, at + _AFTER)
            case TurnCommitted():
                self._commit()

    def finish(self) -> None:
        """No more sound comes: the last words are due."""
        self._stop_voice(self._sound.end, self._sound.end)
        self._has_ended = True
        self._words.changed.set()

    def fail(self, error: BaseException) -> None:
        """End now; `failure` tells why."""
        self.failure = self.failure or error
        self._words.changed.set()

    def close(self) -> None:
        """Drop everything. Readings that threads have begun run to their end unheard."""
        self._is_closed = True
        for job in self._jobs:
            job.future.cancel()

    async def next(self) -> Transcript | None:
        """Wait for the next transcript; None after the last one, or after a failure.

        When cancelled, nothing is lost.
        """
        words = self._words
        while self.failure is None:
            if words.said:
                return words.said.popleft()
            if self._has_ended and not words.finals:
                break
            words.changed.clear()
            await words.changed.wait()
        return None

    # ---- sound and edges -------------------------------------------------------------------

    def _hear_sound(self, sound: UserAudio) -> None:
        if sound.format != WIDEBAND:
            raise UsageError(f"Whisper hears {WIDEBAND}, not {sound.format}")
        for begin in range(0, len(sound.pcm), _STEP):
            self._sound.add(sound.pcm[begin : begin + _STEP])
            if not self._is_on or self._segment is None:
                self._forget()
                continue
            if self._sound.end - self._segment.begin >= _LONGEST:
                self._cut(self._segment)
            self._consider_interim(self._segment)

    def _start_voice(self, at: int) -> None:
        if self._is_on:
            return
        self._is_on = True
        before = max(at - _BEFORE, self._last_stop)
        segment = self._segment
        if segment is None or not segment.may_go_on(at):
            self._begin_segment(before, at)
            return
        segment.resumed = before
        segment.clock.voice_on(self._sound.end)
        # What is read for the pause is an interim now: the final comes with what follows.
        self._words.withdraw(segment)
        for job in self._jobs:
            if job.segment is segment:
                job.final = None

    def _stop_voice(self, at: int, end: int) -> None:
        segment = self._segment
        if not self._is_on or segment is None:
            return
        self._is_on = False
        end = min(max(end, segment.begin), self._sound.end)
        segment.stop = self._last_stop = min(max(at, segment.begin), end)
        segment.resumed = None
        segment.is_owed = True
        self._give_final(segment, end, self._sound.end)

    def _commit(self) -> None:
        segment = self._segment
        if segment is None:
            return
        if not self._is_on:
            self._segment = None
            return
        begin = segment.resumed
        # A segment that did not pause yet has had no final: its words are not what was answered.
        if begin is None:
            return
        if segment.is_owed:
            self._give_final(segment, segment.stop + _AFTER, begin + _AFTER)
        self._begin_segment(begin, begin)

    def _begin_segment(self, begin: int, voice: int) -> None:
        self._number += 1
        clock = InterimClock(self._interims, voice)
        self._segment = Segment(self._number, max(begin, self._sound.begin), clock)

    def _cut(self, segment: Segment) -> None:
        """End a long segment at its quietest point; the voice goes on in the next one."""
        at = self._sound.quietest(_CUT_WITHIN)
        segment.stop = self._last_stop = at
        segment.is_owed = True
        # An interim that heard beyond this point has words of the next segment.
        self._give_final(segment, at, at)
        self._begin_segment(at, self._sound.end)

    def _forget(self) -> None:
        """Let go of sound that cannot belong to a segment any more."""
        keep = self._sound.end - _KEPT
        if self._segment is not None and not self._segment.may_go_on(keep):
            self._segment = None
        needed = [final.segment for final in self._words.finals]
        if self._segment is not None:
            needed.append(self._segment)
        self._sound.forget(min([keep, *(segment.begin for segment in needed)]))

    # ---- readings --------------------------------------------------------------------------

    def _give_final(self, segment: Segment, end: int, limit: int) -> None:
        """Have final words of a segment up to its stop.

        Taken from an interim if one heard all of the voice, but nothing beyond `limit`, where words
        begin that come later. Else the segment is read up to `end`.
        """
        final = self._words.promise(segment)
        for job in self._jobs:
            is_wanted = job.segment is segment and not job.is_dropped
            if is_wanted and segment.is_heard(job.end, limit):
                job.final = final
                return
        self._drop_interims(segment)
        if segment.read_text and segment.is_heard(segment.read_to, limit):
            self._words.give(final, segment.read_text)
        else:
            self._read(segment, end, final)

    def _drop_interims(self, segment: Segment) -> None:
        """Forget the interims of a segment: a thread that reads one cannot be stopped."""
        for job in self._jobs:
            if job.segment is segment and job.final is None:
                job.is_dropped = True

    def _consider_interim(self, segment: Segment) -> None:
        clock = segment.clock
        if clock.is_off or not clock.is_due(self._sound):
            return
        # A final goes first, also those of other sessions: an interim takes one place of two.
        if not self._jobs and not self._engine.is_busy:
            clock.begun(self._sound.end)
            self._read(segment, self._sound.end, None)

    def _read(self, segment: Segment, end: int, final: Final | None) -> None:
        known = settled_frames(segment.known, end - segment.begin)
        pcm = self._sound.pcm(segment.begin + first_sample(known), end)
        read = self._engine.read_interim if final is None else self._engine.read
        future = self._start(read, known, pcm, self._prompt)
        job = Job(segment, end, self._now(), future, final, is_interim=final is None)
        self._jobs.append(job)
        future.add_done_callback(partial(self._have_read, job))

    def _have_read(self, job: Job, future: asyncio.Future[Reading | None]) -> None:
        if self._is_closed or future.cancelled():
            return
        self._jobs.remove(job)
        error = future.exception()
        if error is not None:
            self.fail(error)
            return
        segment, reading = job.segment, future.result()
        if reading is not None:
            segment.keep(reading, job.end)
        if job.final is not None:
            if job.is_interim and (reading is None or not reading.text):
                # It found no place or no words when the voice stopped: a little more may be heard.
                self._read(segment, min(segment.stop + _AFTER, self._sound.end), job.final)
            elif reading is not None:
                self._words.give(job.final, reading.text)
        elif reading is None:
            segment.clock.refused(self._sound.end)
        else:
            segment.clock.took(self._now() - job.began)
            if not job.is_dropped and segment is self._segment:
                self._words.show(segment, reading.text)
