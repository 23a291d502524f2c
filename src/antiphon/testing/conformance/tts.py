"""What every `TTS` must do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from antiphon.audio.formats import to_float
from antiphon.services.base.tts import TTS, SpeechChunk
from antiphon.testing.conformance.base import ServiceConformance

__all__ = ["TTSConformance"]

_AUDIBLE = 0.003
"""Peak of a sound, of full scale, under which nothing was said: -50 dB."""


class TTSConformance(ServiceConformance[TTS]):
    """Suite for text-to-speech: say how one is made.

    Attributes:
        pieces: Something to say, in its language; three pieces.
    """

    pieces: Sequence[str] = (
        "We are open from nine to six,",
        "from Monday to Friday.",
        "On Saturday we close at four.",
    )

    async def _speak(self, tts: TTS, pieces: Sequence[str]) -> list[SpeechChunk]:
        async with aclosing(_given(pieces)) as text, aclosing(tts.synthesize(text)) as stream:
            chunks = [chunk async for chunk in stream]
        for chunk in chunks:
            assert chunk.pcm, "a chunk without sound says nothing: leave it out"
            cut = len(chunk.pcm) % tts.audio_format.bytes_per_frame
            assert not cut, f"a chunk of {len(chunk.pcm)} bytes ends within a sample"
        return chunks

    async def test_pieces_are_spoken_in_order(self) -> None:
        """Each has sound that can be heard, marked with its number."""
        async with self.running() as tts:
            chunks = await self._speak(tts, self.pieces)
            numbers = [chunk.piece for chunk in chunks]
            assert numbers == sorted(numbers), f"out of order: {numbers}"
            assert set(numbers) == set(range(len(self.pieces))), f"pieces spoken: {set(numbers)}"
            for number in range(len(self.pieces)):
                pcm = b"".join(chunk.pcm for chunk in chunks if chunk.piece == number)
                assert _peak(pcm) > _AUDIBLE, f"piece {number} cannot be heard"

    async def test_longer_text_is_longer_sound(self) -> None:
        """The account of what was heard counts on it."""
        async with self.running() as tts:
            short = await self._speak(tts, self.pieces[:1])
            whole = await self._speak(tts, self.pieces)
            lengths = [sum(len(chunk.pcm) for chunk in chunks) for chunks in (short, whole)]
            assert lengths[0] < lengths[1], "three pieces are no longer than one"

    async def test_the_first_piece_is_spoken_before_the_second_is_there(self) -> None:
        """The text may pause for seconds between two pieces."""
        heard = asyncio.Event()

        async def pieces() -> AsyncGenerator[str, None]:
            yield self.pieces[0]
            await heard.wait()
            yield self.pieces[1]

        async with self.running() as tts:
            spoken = set()
            async with aclosing(pieces()) as text, aclosing(tts.synthesize(text)) as stream:
                async for chunk in stream:
                    spoken.add(chunk.piece)
                    heard.set()
            assert spoken == {0, 1}, f"pieces spoken: {spoken}"

    async def test_no_text_is_no_sound(self) -> None:
        """It ends at once."""
        async with self.running() as tts:
            chunks = await self._speak(tts, ())
            assert not chunks, "sound without text"

    async def test_what_cannot_be_spoken_is_left_out(self) -> None:
        """Blank pieces and lone signs have no sound, but are counted."""
        async with self.running() as tts:
            chunks = await self._speak(tts, (self.pieces[0], "  ", "…", self.pieces[1]))
            spoken = {chunk.piece for chunk in chunks}
            assert {0, 3} <= spoken, f"pieces spoken: {spoken}; 0 and 3 hold words"
            for number in (1, 2):
                pcm = b"".join(chunk.pcm for chunk in chunks if chunk.piece == number)
                assert _peak(pcm) <= _AUDIBLE, f"piece {number} has no words, but can be heard"

    async def test_word_times_lie_within_their_piece(self) -> None:
        """If it tells them: in order, and the words are the text's."""
        async with self.running() as tts:
            chunks = await self._speak(tts, self.pieces)
            for number, text in enumerate(self.pieces):
                mine = [chunk for chunk in chunks if chunk.piece == number]
                length = sum(tts.audio_format.seconds(len(chunk.pcm)) for chunk in mine)
                words = [word for chunk in mine for word in chunk.words]
                starts = [word.start for word in words]
                assert starts == sorted(starts), f"words of piece {number} are out of order"
                for word in words:
                    inside = 0 <= word.start <= word.end <= length + 0.05
                    assert inside, f"{word} lies outside of its piece of {length:.2f} s"
                    assert word.word.strip() in text, f"{word.word!r} is not in {text!r}"

    async def test_speeches_at_once_do_not_mix(self) -> None:
        """Two sessions that speak at the same time sound as they do alone."""
        async with self.running() as tts:
            alone = await self._speak(tts, self.pieces[:1])
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._speak(tts, self.pieces[:1])) for _ in range(2)]
            length = sum(len(chunk.pcm) for chunk in alone)
            for task in tasks:
                other = sum(len(chunk.pcm) for chunk in task.result())
                assert abs(other - length) <= 0.2 * length, "another speech changed this one"

    async def test_cancelled_it_stops_at_once(self) -> None:
        """Before the first sound and after it; no task is left."""
        for outputs in (0, 1):
            async with self.running() as tts, aclosing(_given(self.pieces)) as text:
                await self.check_stops(tts.synthesize(text), outputs)

    async def test_cancelled_while_it_waits_for_text_it_stops_at_once(self) -> None:
        """The text may have paused when the person interrupts."""
        never = asyncio.Event()

        async def pieces() -> AsyncGenerator[str, None]:
            await never.wait()
            yield ""

        async with self.running() as tts, aclosing(pieces()) as text:
            await self.check_stops(tts.synthesize(text), 0)

    async def test_closed_it_stops_at_once(self) -> None:
        """Between two sounds; no task is left, and it speaks again."""
        async with self.running() as tts:
            async with aclosing(_given(self.pieces)) as text:
                await self.check_closes(tts.synthesize(text), 1)
            assert await self._speak(tts, self.pieces[:1]), "it does not speak any more"


async def _given(pieces: Sequence[str]) -> AsyncGenerator[str, None]:
    for piece in pieces:
        yield piece


def _peak(pcm: bytes) -> float:
    return float(abs(to_float(pcm)).max(initial=0.0))
