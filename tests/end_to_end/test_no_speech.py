"""What is no speech gets no answer, with the real models on virtual time."""

import numpy as np
import pytest

from antiphon.audio import WIDEBAND, to_float, to_pcm, write_wav
from antiphon.cli.sample import agent
from antiphon.transports.wav import WavTransport
from support.spoken import said

SECONDS = 60


def white(level):
    return np.random.default_rng(1).normal(0, level, SECONDS * 16_000)


def hum(level):
    """Mains hum with its overtones, as a bad cable gives it."""
    at = np.arange(SECONDS * 16_000) / 16_000
    return level * sum(np.sin(2 * np.pi * 50 * n * at) / n for n in (1, 2, 3, 5, 7))


def bursts(level):
    """A knock twice a second."""
    sound = white(level).reshape(-1, 8_000)
    sound *= np.exp(-np.arange(8_000) / 400)
    return sound.ravel()


async def listen_to(sound):
    transport = WavTransport(write_wav(WIDEBAND, to_pcm(np.clip(sound, -1, 1))))
    task = agent.task(transport.input(), transport.output())
    await task.run()
    return task.outcome, [timed.event for timed in transport.events]


@pytest.mark.parametrize(
    "sound",
    [np.zeros(SECONDS * 16_000), white(0.003), white(0.05), white(0.3), hum(0.2), bursts(0.4)],
    ids=["silence", "quiet room", "noise", "loud noise", "hum", "knocks"],
)
async def test_a_minute_without_speech_is_not_answered(sound):
    outcome, events = await listen_to(sound)
    assert outcome == "ended"
    answered = [e for e in events if e["type"] in ("metrics", "error")]
    assert answered == []
    assert not [e for e in events if e["type"] == "transcript" and e["role"] == "agent"]


async def test_a_question_in_a_quiet_room_is():
    question = to_float(said("When are you open on Saturday?"))
    sound = white(0.003)[: 5 * 16_000]
    sound[16_000 : 16_000 + len(question)] += question
    outcome, events = await listen_to(sound)
    assert outcome == "ended"
    (answer,) = [
        e for e in events if e["type"] == "transcript" and e["role"] == "agent" and e["final"]
    ]
    assert "ten to four" in answer["text"]
