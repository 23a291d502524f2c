"""`antiphon call` in a process of its own, on questions that the embedded voice asks."""

from __future__ import annotations

import json

import numpy as np
import pytest

from antiphon.audio import WIDEBAND, AudioFormat, read_wav, write_wav
from support.commands import run
from support.spelling import overlap

SILENCE = bytes(WIDEBAND.n_bytes(0.3))


@pytest.fixture
def ask(tmp_path, spoken):
    """Asks a question on the command line; gives the one turn and the agent's channel."""

    def call(text: str, *options: str) -> tuple[dict, bytes]:
        sound = SILENCE + spoken(text)
        (tmp_path / "question.wav").write_bytes(write_wav(WIDEBAND, sound))
        out = tmp_path / "conversation.wav"
        done = run("call", "question.wav", "--json", "--out", out.name, *options, cwd=tmp_path)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
        (turn,) = json.loads(done.stdout)["turns"]
        audio_format, pcm = read_wav(out.read_bytes())
        assert audio_format == AudioFormat(16_000, channels=2)
        both = np.frombuffer(pcm, "<i2").reshape(-1, 2)
        caller = np.frombuffer(sound, "<i2")
        assert np.array_equal(both[: len(caller), 0], caller)
        return turn, both[:, 1].tobytes()

    return call


@pytest.mark.parametrize("options", [("--fast",), ("--tail", "1.5")], ids=["fast", "real time"])
def test_a_spoken_question_gets_the_right_answer_and_it_is_heard(ask, heard, options):
    turn, agent = ask("Excuse me, are you open on Saturday?", *options)
    assert overlap(turn["user"], "Excuse me, are you open on Saturday?") >= 0.8
    assert turn["agent"] == "On Saturday we are open from ten to four."
    assert turn["interrupted"] is False
    assert turn["tools"] == []
    assert overlap(heard(agent), turn["agent"]) >= 0.8

    parts = turn["parts"]
    assert sum(part["ms"] for part in parts) == pytest.approx(turn["voice_to_voice_ms"])
    owners = {part["owner"] for part in parts}
    assert {"vad", "retrieval", "hibari"} <= owners
    assert all(part["setting"] for part in parts)


def test_a_question_that_needs_a_tool(ask, heard):
    turn, agent = ask("Where is my order four five one two?", "--fast")
    assert [(tool["name"], tool["arguments"]) for tool in turn["tools"]] == [
        ("order_status", {"number": "4512"})
    ]
    assert turn["agent"] == "Your order 4512 ships tomorrow afternoon."
    assert {"order", "ships", "tomorrow", "afternoon"} <= set(
        heard(agent).lower().rstrip(".").split()
    )
