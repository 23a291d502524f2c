"""What every `TurnDetector` must do."""

from __future__ import annotations

import asyncio

from antiphon.services.base.turn import TurnDetector, TurnSoFar
from antiphon.testing.conformance.base import ServiceConformance, took

__all__ = ["TurnDetectorConformance"]


class TurnDetectorConformance(ServiceConformance[TurnDetector]):
    """Suite for turn detectors: say how one is made, and give it turns that it can judge."""

    def complete(self) -> TurnSoFar:
        """A turn that is plainly complete."""
        raise NotImplementedError("give it a turn that is complete")

    def incomplete(self) -> TurnSoFar:
        """A turn that plainly goes on."""
        raise NotImplementedError("give it a turn that goes on")

    def _odd(self) -> dict[str, TurnSoFar]:
        whole = self.complete()
        return {
            "nothing at all": TurnSoFar(b"", "", ""),
            "a breath": TurnSoFar(whole.pcm[:640], "", ""),
            "words without sound": TurnSoFar(b"", "what are your hours", "How can I help?"),
            "sound without words": TurnSoFar(whole.pcm, "", ""),
            "eight seconds of silence": TurnSoFar(bytes(2 * 16_000 * 8), "", ""),
        }

    async def test_answers_are_probabilities(self) -> None:
        """In [0, 1], for turns of every kind, also those that hold nothing."""
        async with self.running() as detector:
            turns = {"complete": self.complete(), "incomplete": self.incomplete(), **self._odd()}
            for kind, turn in turns.items():
                answer = await detector.score(turn)
                assert 0.0 <= answer <= 1.0, f"{kind}: {answer!r} is no probability"

    async def test_a_complete_turn_scores_higher(self) -> None:
        """It can tell a turn that is over from one that goes on."""
        async with self.running() as detector:
            over = await detector.score(self.complete())
            goes_on = await detector.score(self.incomplete())
            assert over > goes_on, f"complete: {over:.2f}, going on: {goes_on:.2f}"

    async def test_questions_at_once_are_answered_each(self) -> None:
        """Sessions that ask at the same time get their own answers."""
        async with self.running() as detector:
            alone = [await detector.score(turn) for turn in (self.complete(), self.incomplete())]
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(detector.score(turn))
                    for turn in (self.complete(), self.incomplete())
                ]
            for own, task in zip(alone, tasks, strict=True):
                assert abs(own - task.result()) < 1e-3, "another question changed the answer"

    async def test_a_cancelled_question_ends_at_once(self) -> None:
        """The person goes on: the answer is not needed any more, and the next one is right."""
        async with self.running() as detector:
            expected = await detector.score(self.complete())
            async with asyncio.TaskGroup() as group:
                task = group.create_task(detector.score(self.complete()))
                await asyncio.sleep(0)
                with took(self.stops_within, "the cancelled question"):
                    task.cancel()
                    await asyncio.wait([task])
            again = await detector.score(self.complete())
            assert abs(expected - again) < 1e-3, "a cancelled question changed the next answer"
