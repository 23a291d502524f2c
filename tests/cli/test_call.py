from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from antiphon.audio import WIDEBAND, AudioFormat, read_wav, write_wav
from antiphon.cli.main import app
from antiphon.testing import tone
from support.commands import ANTIPHON, environment, running

AGENT = """
from antiphon import Agent, Tool
from antiphon.context import ToolCall
from antiphon.errors import RemoteError
from antiphon.testing import (
    ScriptedLLM, ScriptedSTT, ScriptedTTS, ScriptedTurnDetector, ScriptedVAD,
)

async def look_up(arguments):
    print("an author's print")
    return "It ships."

def make(llm, **options):
    return Agent(
        vad=ScriptedVAD(),
        stt=ScriptedSTT(("Where is my order 4512?", "Stop.")),
        llm=llm,
        tts=ScriptedTTS(),
        turn_detector=ScriptedTurnDetector(),
        tools=[Tool(name="look_up", description="orders", run=look_up)],
        **options,
    )

agent = make(ScriptedLLM([[ToolCall("1", "look_up", {"number": "4512"})], "It ships.", "Okay."]))
talker = make(ScriptedLLM(["It ships tomorrow in the afternoon or on the day after.", "Okay."]))
broken = make(ScriptedLLM([RemoteError("acme", "refused: no key")]))
greeter = make(ScriptedLLM("It ships."), greeting="Welcome.")
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "my_agent.py").write_text(AGENT)
    voice, silence = tone(WIDEBAND, 1.0), bytes(WIDEBAND.n_bytes(1.6))
    (tmp_path / "question.wav").write_bytes(write_wav(WIDEBAND, voice))
    # The second voice comes while the answer to the first is being heard.
    (tmp_path / "twice.wav").write_bytes(write_wav(WIDEBAND, voice + silence + voice))
    (tmp_path / "silence.wav").write_bytes(write_wav(WIDEBAND, silence))
    return tmp_path


def call(*arguments: str):
    return CliRunner().invoke(app, ["call", *arguments, "--fast"], catch_exceptions=False)


def turns(result) -> list[dict]:
    data = json.loads(result.stdout)
    assert set(data) == {"turns"}
    return data["turns"]


def test_json_is_one_object_with_the_turns(folder):
    result = call("question.wav", "--agent", "my_agent.py", "--json")
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 1
    (turn,) = turns(result)
    assert turn["user"] == "Where is my order 4512?"
    assert turn["agent"] == "It ships."
    assert turn["interrupted"] is False
    (tool,) = turn["tools"]
    assert (tool["name"], tool["arguments"], tool["result"], tool["failed"]) == (
        "look_up",
        {"number": "4512"},
        "It ships.",
        False,
    )


def test_parts_have_owner_and_setting_and_sum_to_the_whole(folder):
    (turn,) = turns(call("question.wav", "--agent", "my_agent.py", "--json"))
    assert sum(part["ms"] for part in turn["parts"]) == pytest.approx(turn["voice_to_voice_ms"])
    assert {part["owner"] for part in turn["parts"]} >= {"scripted-llm", "scripted-tts"}
    assert all(part["name"] and part["setting"] and part["ms"] > 0 for part in turn["parts"])
    # The answer takes two requests of 0.2 s and 0.12 s to the first sound.
    assert 500 < turn["voice_to_voice_ms"] < 1200


def test_what_an_author_prints_goes_to_stderr(folder):
    result = call("question.wav", "--agent", "my_agent.py", "--json")
    assert "an author's print" in result.stderr
    assert "an author's print" not in result.stdout


def test_an_interruption_is_told_with_what_was_not_heard(folder):
    shown = call("twice.wav", "--agent", "my_agent.py:talker").stdout
    assert "interrupted; not heard:" in " ".join(shown.split())
    first, second = turns(call("twice.wav", "--agent", "my_agent.py:talker", "--json"))
    assert first["interrupted"] is True
    assert "It ships tomorrow in the afternoon or on the day after.".startswith(first["agent"])
    assert (second["user"], second["agent"], second["interrupted"]) == ("Stop.", "Okay.", False)


def test_a_greeting_is_a_turn_without_a_user(folder):
    told = turns(call("silence.wav", "--agent", "my_agent.py:greeter", "--json"))
    assert [(turn["user"], turn["agent"], turn["voice_to_voice_ms"]) for turn in told] == [
        ("", "Welcome.", None)
    ]


def test_the_recording_has_the_caller_left_and_the_agent_right_on_one_clock(folder):
    import numpy as np

    result = call("question.wav", "--agent", "my_agent.py", "--json", "--out", "conversation.wav")
    assert result.exit_code == 0
    audio_format, pcm = read_wav((folder / "conversation.wav").read_bytes())
    assert audio_format == AudioFormat(16_000, channels=2)
    sound = np.abs(np.frombuffer(pcm, "<i2").reshape(-1, 2).astype(int)) > 1000
    caller, agent = np.flatnonzero(sound[:, 0]), np.flatnonzero(sound[:, 1])
    assert caller[-1] / 16_000 == pytest.approx(1.0, abs=0.01)
    (turn,) = turns(result)
    heard_after = (agent[0] - caller[-1]) / 16
    assert heard_after == pytest.approx(turn["voice_to_voice_ms"], abs=25)


def test_the_printed_call_shows_words_tool_and_waterfall(folder):
    shown = call("question.wav", "--agent", "my_agent.py", "--out", "talk.wav").stdout
    assert "you    Where is my order 4512?" in shown
    assert "tool   look_up(number='4512')" in shown
    assert "agent  It ships." in shown
    assert "voice to voice" in shown
    assert "VoiceOptions.stop_silence" in shown
    assert "scripted-tts" in shown
    assert "recorded talk.wav" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_silence_is_said_to_be_silence(folder):
    result = call("silence.wav", "--agent", "my_agent.py")
    assert result.exit_code == 0
    assert "No speech was heard." in result.stdout
    result = call("silence.wav", "--agent", "my_agent.py", "--json")
    assert turns(result) == []


def test_a_provider_that_fails_is_told_and_the_exit_code_says_so(folder):
    result = call("question.wav", "--agent", "my_agent.py:broken")
    assert result.exit_code == 1
    assert "error  acme: refused: no key" in result.stdout
    assert result.stdout.index("you ") < result.stdout.index("error ")
    assert "(no answer)" in result.stdout
    result = call("question.wav", "--agent", "my_agent.py:broken", "--json")
    assert result.exit_code == 1
    assert turns(result)[0]["agent"] == ""
    assert "refused: no key" in result.stderr


def test_ctrl_c_ends_the_call_and_keeps_the_recording(folder):
    options = ("question.wav", "--agent", "my_agent.py", "--out", "talk.wav", "--tail", "30")
    with running("call", *options, cwd=folder) as made:
        made.wait_for("agent  It ships.")
        assert made.interrupt() == 130
        assert "recorded talk.wav" in made.printed
        assert "Traceback" not in made.printed
    audio_format, pcm = read_wav((folder / "talk.wav").read_bytes())
    assert audio_format.seconds(len(pcm)) > 1.5


def test_a_reader_who_leaves_ends_nothing(folder):
    command = [*ANTIPHON, "call", "question.wav", "--agent", "my_agent.py", "--fast", "-o", "a.wav"]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0
    assert (folder / "a.wav").stat().st_size > 44


# ---- what can be wrong -----------------------------------------------------------------------


def complaint(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["call", *arguments, "--fast"], catch_exceptions=False)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("error  ")
    return result.stderr.removeprefix("error  ").strip()


def test_no_such_file(folder):
    assert complaint("no.wav") == "there is no file no.wav"


def test_a_folder_is_no_file(folder):
    assert complaint(".").startswith(". cannot be read: ")


def test_not_a_wav_file(folder):
    (folder / "song.wav").write_bytes(b"ID3 something else")
    assert complaint("song.wav").startswith("song.wav: this is no WAV file")


def test_no_such_channel(folder):
    text = complaint("question.wav", "--agent", "my_agent.py", "--channel", "1")
    assert text == "question.wav has one channel, 0: there is no channel 1"


def test_no_such_agent(folder):
    assert complaint("question.wav", "--agent", "nobody.py").startswith(
        "there is no file nobody.py"
    )


@pytest.mark.parametrize("out", ["nowhere/talk.wav", "."])
def test_a_recording_that_cannot_be_written_is_refused_before_the_call(folder, out):
    text = complaint("question.wav", "--agent", "my_agent.py", "--out", out)
    assert "folder" in text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_recording_that_may_not_be_written(folder):
    (folder / "talk.wav").touch(mode=0o400)
    assert "cannot be written" in complaint("question.wav", "--out", "talk.wav")


def test_a_tail_that_is_too_short_says_the_range(folder):
    assert "tail=0.1" in complaint("question.wav", "--agent", "my_agent.py", "--tail", "0.1")


def test_debug_shows_the_traceback(folder):
    with pytest.raises(Exception, match="there is no file"):
        call("no.wav", "--debug")


def test_a_wrong_option_is_a_usage_error(folder):
    result = call("question.wav", "--fats")
    assert result.exit_code == 2
    assert "--fast" in result.stderr
