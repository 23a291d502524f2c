"""What every `VAD` must do."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from antiphon.audio.framing import Windows
from antiphon.services.base.vad import VAD, VADStream
from antiphon.testing.conformance.base import ServiceConformance

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["VADConformance"]


class _Asked:
    """A stream, what it answered, and the wait for it."""

    def __init__(self, stream: VADStream, answers_within: float) -> None:
        self.stream = stream
        self._answers_within = answers_within
        self.answers: dict[int, list[float]] = {}
        self.order: list[int] = []
        self.threads: set[int] = set()
        self._asked = 0
        self._came = asyncio.Event()

    def feed(self, window: NDArray[np.float32]) -> None:
        number, self._asked = self._asked, self._asked + 1
        self.answers[number] = []

        def answer(probability: float) -> None:
            self.answers[number].append(probability)
            self.order.append(number)
            self.threads.add(threading.get_ident())
            self._came.set()

        self.stream.feed(window, answer)

    async def probabilities(self) -> list[float]:
        """Wait until every window is answered."""
        async with asyncio.timeout(self._answers_within + 0.01 * self._asked):
            while len(self.order) < self._asked:
                self._came.clear()
                await self._came.wait()
        return [given[0] for given in self.answers.values()]


class VADConformance(ServiceConformance[VAD]):
    """Suite for voice detectors: say how one is made, and give it speech.

    Attributes:
        answers_within: Seconds in which a window must be answered. Source: the contract of
            `VADStream.feed`.
    """

    answers_within: float = 0.05

    def speech(self) -> bytes:
        """A second or more that is mostly voice: mono s16le, 16 kHz."""
        raise NotImplementedError("give it speech")

    def _open(self, vad: VAD) -> _Asked:
        return _Asked(vad.open(), self.answers_within)

    def _windows(self, vad: VAD, pcm: bytes) -> list[NDArray[np.float32]]:
        windows = Windows(vad.window).feed(pcm)
        assert len(windows) >= 8, "give more speech: a second or more"
        return windows

    async def _answers(self, vad: VAD, pcm: bytes) -> list[float]:
        """Each window is fed when the one before it is answered."""
        asked = self._open(vad)
        for window in self._windows(vad, pcm):
            asked.feed(window)
            await asked.probabilities()
        asked.stream.close()
        return await asked.probabilities()

    async def test_each_window_has_one_answer_in_order(self) -> None:
        """Windows that are fed together are answered one by one, on the loop's thread."""
        async with self.running() as vad:
            asked = self._open(vad)
            for window in self._windows(vad, self.speech())[:32]:
                asked.feed(window)
            probabilities = await asked.probabilities()
            asked.stream.close()
            assert asked.order == sorted(asked.order), f"out of order: {asked.order}"
            counts = {len(given) for given in asked.answers.values()}
            assert counts == {1}, f"a window had more than one answer: {counts}"
            assert asked.threads == {threading.get_ident()}, "answered on another thread"
            outside = [p for p in probabilities if not 0.0 <= p <= 1.0]
            assert not outside, f"no probabilities: {outside}"

    async def test_speech_is_voice(self) -> None:
        """More than half of the windows of speech are above 0.5."""
        async with self.running() as vad:
            answers = await self._answers(vad, self.speech())
            share = sum(p > 0.5 for p in answers) / len(answers)
            assert share > 0.5, f"only {share:.0%} of the windows of speech are above 0.5"

    async def test_silence_is_no_voice(self) -> None:
        """Every window of silence is below 0.5, also right after speech has ended."""
        async with self.running() as vad:
            silence = bytes(2 * vad.window * 16)
            answers = await self._answers(vad, silence)
            assert max(answers) < 0.5, f"silence was voice with {max(answers):.2f}"
            answers = await self._answers(vad, self.speech() + bytes(2 * 16_000))
            last = answers[-max(len(answers) // 10, 1) :]
            assert max(last) < 0.5, f"silence after speech was voice with {max(last):.2f}"

    async def test_streams_know_nothing_of_each_other(self) -> None:
        """Two streams fed in turn answer as each does alone, whatever the other hears."""
        async with self.running() as vad:
            speech = self.speech()
            silence = bytes(len(speech))
            alone = await self._answers(vad, speech), await self._answers(vad, silence)
            one, two = self._open(vad), self._open(vad)
            pairs = zip(self._windows(vad, speech), self._windows(vad, silence), strict=True)
            for loud, quiet in pairs:
                one.feed(loud)
                two.feed(quiet)
                await one.probabilities()
                await two.probabilities()
            together = await one.probabilities(), await two.probabilities()
            one.stream.close()
            two.stream.close()
            for own, mixed in zip(alone, together, strict=True):
                worst = max(abs(a - b) for a, b in zip(own, mixed, strict=True))
                assert worst < 1e-3, f"the other stream changed an answer by {worst:.4f}"

    async def test_a_stream_begins_fresh(self) -> None:
        """What an earlier stream heard does not change the answers of a new one."""
        async with self.running() as vad:
            first = await self._answers(vad, self.speech())
            again = await self._answers(vad, self.speech())
            worst = max(abs(a - b) for a, b in zip(first, again, strict=True))
            assert worst < 1e-3, f"an earlier stream changed an answer by {worst:.4f}"

    async def test_a_closed_stream_is_silent(self) -> None:
        """After `close` no answer comes, and other streams go on."""
        async with self.running() as vad:
            closed, other = self._open(vad), self._open(vad)
            for window in self._windows(vad, self.speech())[:4]:
                closed.feed(window)
                other.feed(window)
            answered = len(closed.order)
            closed.stream.close()
            closed.stream.close()
            await other.probabilities()
            await asyncio.sleep(2 * self.answers_within)
            late = len(closed.order) - answered
            assert not late, f"{late} answers came after close()"
            other.stream.close()
