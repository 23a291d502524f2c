"""What every `STT` must do."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from difflib import SequenceMatcher

from antiphon.audio.formats import AudioFormat
from antiphon.frames import Transcript, TurnCommitted, UserAudio, VoiceStarted, VoiceStopped
from antiphon.services.base.stt import STT, STTInput
from antiphon.testing.conformance.base import ServiceConformance

__all__ = ["STTConformance"]

_PACKET = 0.02
_LATE = 0.08
"""Seconds that the voice detector of the tests needs to be sure of a start."""
_SILENCE = 0.1
"""Seconds that it needs to be sure of a stop."""


@dataclass(frozen=True, slots=True)
class _Voice:
    """A stretch of voice with its edges. `stops` is off if the audio ends within it."""

    pcm: bytes
    stops: bool = True


@dataclass(frozen=True, slots=True)
class _Commit:
    """The turn is taken."""


@dataclass(frozen=True, slots=True)
class _UntilFinal:
    """Wait, with silence, until `count` finals came."""

    count: int


_Step = _Voice | _Commit | _UntilFinal


class _Session:
    """One session's sound as a pipeline gives it, and what was made of it."""

    def __init__(self, audio_format: AudioFormat, pace: float, steps: Sequence[_Step]) -> None:
        self.heard: list[Transcript] = []
        self._format = audio_format
        self._pace = pace
        self._steps = steps
        self._position = 0

    @property
    def finals(self) -> list[Transcript]:
        return [transcript for transcript in self.heard if transcript.final]

    @property
    def text(self) -> str:
        """What counts at the end: the last final of each segment."""
        last = {final.segment: final.text for final in self.finals}
        return " ".join(last[number] for number in sorted(last)).strip()

    async def run(self, stt: STT) -> None:
        async with aclosing(stt.transcribe(self.audio())) as stream:
            async for transcript in stream:
                self.heard.append(transcript)

    async def audio(self) -> AsyncGenerator[STTInput, None]:
        async for packet in self._sound(bytes(self._format.n_bytes(0.2))):
            yield packet
        for number, step in enumerate(self._steps, 1):
            match step:
                case _Voice():
                    async for item in self._voice(step):
                        yield item
                case _Commit():
                    yield TurnCommitted(self.text, number)
                case _UntilFinal(count=count):
                    while len(self.finals) < count:
                        async for packet in self._sound(bytes(self._format.n_bytes(_PACKET))):
                            yield packet
                        if not self._pace:  # words need time, however fast sound is taken
                            await asyncio.sleep(_PACKET)

    async def _voice(self, voice: _Voice) -> AsyncGenerator[STTInput, None]:
        start = self._position_at_16k()
        head = self._format.n_bytes(_LATE)
        async for packet in self._sound(voice.pcm[:head]):
            yield packet
        yield VoiceStarted(start, _LATE)
        async for packet in self._sound(voice.pcm[head:]):
            yield packet
        if voice.stops:
            stop = self._position_at_16k()
            async for packet in self._sound(bytes(self._format.n_bytes(_SILENCE))):
                yield packet
            yield VoiceStopped(stop, _SILENCE)

    async def _sound(self, pcm: bytes) -> AsyncGenerator[UserAudio, None]:
        size = self._format.n_bytes(_PACKET)
        for at in range(0, len(pcm), size):
            packet = pcm[at : at + size]
            yield UserAudio(packet, self._format, self._position)
            self._position += self._format.samples(len(packet))
            if self._pace:
                await asyncio.sleep(self._pace * _PACKET)

    def _position_at_16k(self) -> int:
        return self._position * 16_000 // self._format.sample_rate


class STTConformance(ServiceConformance[STT]):
    """Suite for speech-to-text: say how one is made, and give it speech.

    Attributes:
        pace: Seconds on the loop's clock for each second of sound; 0: as fast as it is taken.
        likeness: How near what was heard must come to what was said, 0 to 1, by words in order.
    """

    pace: float = 1.0
    likeness: float = 0.75

    def speech(self) -> tuple[bytes, str]:
        """Something said: mono s16le in the service's format, and its words."""
        raise NotImplementedError("give it speech and its words")

    def more_speech(self) -> tuple[bytes, str]:
        """Something else said, with other words."""
        raise NotImplementedError("give it other speech and its words")

    def make_for(self, texts: Sequence[str]) -> STT:
        """Make a service that will be given these texts to hear, stretch by stretch.

        Only a scripted one needs to know; the default is `make`.
        """
        return self.make()

    async def _hear(self, texts: Sequence[str], *steps: _Step) -> _Session:
        async with self.running(self.make_for(texts)) as stt:
            session = _Session(stt.audio_format, self.pace, steps)
            await session.run(stt)
        return session

    def _check_words(self, heard: str, said: str) -> None:
        ours, theirs = _words(heard), _words(said)
        ratio = SequenceMatcher(None, ours, theirs, autojunk=False).ratio()
        assert ratio >= self.likeness, f"said {said!r}, heard {heard!r} ({ratio:.2f} alike)"

    async def test_a_session_without_sound_ends(self) -> None:
        """It ends when the audio ends, here at once."""
        session = await self._hear(())
        assert not session.text, f"heard {session.text!r} in silence"

    async def test_final_words_follow_the_voice(self) -> None:
        """The end of the voice asks for final words, though the audio goes on."""
        pcm, said = self.speech()
        session = await self._hear((said,), _Voice(pcm), _UntilFinal(1))
        self._check_words(session.text, said)

    async def test_the_end_of_the_audio_ends_it_after_the_last_words(self) -> None:
        """No word is lost if the audio ends right after the voice, or within it."""
        pcm, said = self.speech()
        for stops in (True, False):
            session = await self._hear((said,), _Voice(pcm, stops))
            self._check_words(session.text, said)

    async def test_segments_count_up(self) -> None:
        """Segments are numbered from 1 and never go back."""
        pcm, said = self.speech()
        steps = (_Voice(pcm), _UntilFinal(1), _Commit(), _Voice(pcm), _UntilFinal(2), _Commit())
        session = await self._hear((said, said), *steps)
        numbers = [transcript.segment for transcript in session.heard]
        assert numbers == sorted(numbers), f"segments go back: {numbers}"
        assert min(numbers) >= 1, f"segments are counted from 1, not {min(numbers)}"

    async def test_silence_has_an_empty_final(self) -> None:
        """A voice that was none: a final says so, with no words, so that nobody waits for them."""
        silence = bytes(len(self.speech()[0]))
        session = await self._hear(("",), _Voice(silence))
        assert session.finals, "no final came: the turn waits for it"
        assert not session.text, f"heard {session.text!r} in silence"

    async def test_nothing_is_lost_when_the_person_goes_on(self) -> None:
        """After the first words, before the turn was taken: both stretches are there, once."""
        (pcm, said), (more, also) = self.speech(), self.more_speech()
        session = await self._hear((said, also), _Voice(pcm), _UntilFinal(1), _Voice(more))
        self._check_words(session.text, f"{said} {also}")

    async def test_nothing_is_lost_when_the_person_goes_on_at_once(self) -> None:
        """The same, when the voice goes on before the first words came."""
        (pcm, said), (more, also) = self.speech(), self.more_speech()
        session = await self._hear((said, also), _Voice(pcm), _Voice(more))
        self._check_words(session.text, f"{said} {also}")

    async def test_a_committed_turn_is_over(self) -> None:
        """What is said after it is a new segment with its own words only."""
        (pcm, said), (more, also) = self.speech(), self.more_speech()
        steps = (_Voice(pcm), _UntilFinal(1), _Commit(), _Voice(more))
        session = await self._hear((said, also), *steps)
        first = session.finals[0].segment
        later = {final.segment: final.text for final in session.finals if final.segment > first}
        assert later, "what was said after the turn is no segment of its own"
        self._check_words(" ".join(later[number] for number in sorted(later)), also)
        last = [final.text for final in session.finals if final.segment == first][-1]
        self._check_words(last, said)

    async def test_sessions_do_not_mix(self) -> None:
        """Two sessions at once hear each their own words."""
        pcm, said = self.speech()
        async with self.running(self.make_for((said,))) as stt:
            sessions = [_Session(stt.audio_format, self.pace, (_Voice(pcm),)) for _ in range(2)]
            async with asyncio.TaskGroup() as group:
                for session in sessions:
                    group.create_task(session.run(stt))
        for session in sessions:
            self._check_words(session.text, said)

    async def test_cancelled_it_stops_at_once(self) -> None:
        """While it waits for sound, and while it waits for words; no task is left."""
        pcm, said = self.speech()
        for outputs in (0, 1):
            async with self.running(self.make_for((said,))) as stt:
                session = _Session(stt.audio_format, self.pace, (_Voice(pcm), _UntilFinal(99)))
                async with aclosing(session.audio()) as audio:
                    await self.check_stops(stt.transcribe(audio), outputs)

    async def test_closed_it_stops_at_once(self) -> None:
        """The same when it is closed between two transcripts."""
        pcm, said = self.speech()
        async with self.running(self.make_for((said,))) as stt:
            session = _Session(stt.audio_format, self.pace, (_Voice(pcm), _UntilFinal(99)))
            async with aclosing(session.audio()) as audio:
                await self.check_closes(stt.transcribe(audio), 1)


def _words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())
