"""Smart Turn: complete turns and cut ones."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from antiphon.audio import to_pcm
from antiphon.errors import ModelError
from antiphon.models.smart_turn import SmartTurn
from antiphon.models.store import Store
from antiphon.services.base import TurnSoFar
from antiphon.testing.conformance import TurnDetectorConformance
from support.spoken import RATE, floats, noise, said, silence

PAUSE = silence(0.15)


class TestConformance(TurnDetectorConformance):
    def make(self):
        return SmartTurn()

    def complete(self):
        return TurnSoFar(said("Book me a flight to Paris.") + PAUSE, "", "")

    def incomplete(self):
        return TurnSoFar(said("I was wondering if you could, uh") + PAUSE, "", "")


async def score(pcm):
    return await SmartTurn().score(TurnSoFar(pcm, "", ""))


@pytest.mark.parametrize(
    "text",
    [
        "Book me a flight to Paris.",
        "What time do you open on Saturday?",
        "How much does it cost to repair a flat tire?",
        "I would like to cancel my order.",
    ],
)
async def test_complete_sentences_are_complete(text):
    assert await score(said(text) + PAUSE) > 0.8


@pytest.mark.parametrize("text", ["So, um", "I was wondering if you could, uh"])
async def test_sentences_that_go_on_are_not(text):
    assert await score(said(text) + PAUSE) < 0.5


async def test_a_sentence_cut_in_the_middle_scores_lower():
    whole = said("I would like to rent an electric bike for tomorrow afternoon.")
    # Ends within a word, without the fall of the voice at a sentence's end.
    cut = whole[: len(whole) // 2 // 2 * 2]
    assert await score(cut + PAUSE) < await score(whole + PAUSE) - 0.2


async def test_only_the_last_eight_seconds_count():
    turn = said("What time do you open on Saturday?") + PAUSE
    filled = noise(8 - len(turn) / 2 / RATE, 0.01) + turn
    assert len(filled) == 16 * RATE
    assert await score(noise(5, 0.3) + filled) == await score(filled)


async def test_loudness_does_not_matter():
    turn = floats(said("Book me a flight to Paris.") + PAUSE)
    loud = await score(to_pcm(turn))
    assert await score(to_pcm(turn * 0.1)) == pytest.approx(loud, abs=0.05)


@pytest.mark.parametrize("pcm", [b"", bytes(2), silence(1), silence(20), noise(0.02)])
async def test_whatever_it_hears_it_answers_with_a_probability(pcm):
    assert 0 <= await score(pcm) <= 1


@pytest.mark.real_time
async def test_many_sessions_at_once_get_their_own_answers():
    turns = [said(text) + PAUSE for text in ("Book me a flight to Paris.", "So, um")] * 4
    apart = [await score(turn) for turn in turns]
    async with asyncio.TaskGroup() as tasks:
        together = [tasks.create_task(score(turn)) for turn in turns]
    np.testing.assert_allclose([task.result() for task in together], apart, atol=1e-6)


@pytest.mark.real_time
async def test_cancelled_it_ends_at_once():
    detector = SmartTurn()
    await detector.prewarm()
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(detector.score(TurnSoFar(said("So, um"), "", "")))
        await asyncio.sleep(0.002)
        began = loop.time()
        task.cancel()
    assert task.cancelled()
    assert loop.time() - began < 0.02


async def test_a_missing_file_is_told_with_the_way_to_get_it(tmp_path):
    detector = SmartTurn(store=Store(tmp_path))
    for call in (detector.prewarm(), detector.score(TurnSoFar(b"", "", ""))):
        with pytest.raises(ModelError, match="antiphon models pull smart-turn"):
            await call
