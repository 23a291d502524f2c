from __future__ import annotations

import json
import socket

import pytest
from typer.testing import CliRunner
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from antiphon.cli.main import app
from support.commands import running

AGENT = """
from antiphon import Agent
from antiphon.testing import ScriptedLLM, ScriptedSTT, ScriptedTTS, ScriptedVAD
from words import WORDS

agent = Agent(
    vad=ScriptedVAD(), stt=ScriptedSTT("hello"), llm=ScriptedLLM(WORDS), tts=ScriptedTTS(),
    turn_detector=None,
)
"""

ADDRESS = r"http://(127\.0\.0\.1:\d+)/"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_agent.py").write_text(AGENT)
    (tmp_path / "words.py").write_text("WORDS = 'Old words.'")
    return tmp_path


class Talk:
    def __init__(self, socket):
        self.socket = socket

    def ask(self, text: str = "Hello?", *, final: bool = False) -> str:
        """Type something and give what the agent begins to say, or what it has said."""
        self.socket.send(json.dumps({"type": "text", "text": text}))
        while True:
            message = self.socket.recv(timeout=10)
            event = json.loads(message) if isinstance(message, str) else {}
            is_agent = (event.get("type"), event.get("role")) == ("transcript", "agent")
            if is_agent and event["final"] >= final:
                return event["text"]


def test_dev_gives_changes_to_the_next_session_and_keeps_the_last_that_worked(folder):
    with running("dev", "my_agent.py", "--port", "0", cwd=folder) as dev:
        address = dev.wait_for(ADDRESS)[1]
        dev.wait_for("Follows changes")
        with connect(f"ws://{address}/ws") as first:
            assert Talk(first).ask() == "Old words."

            (folder / "words.py").write_text("WORDS = 'New words.'")
            dev.wait_for(r"reloaded.*words\.py")
            with connect(f"ws://{address}/ws") as second:
                assert Talk(second).ask() == "New words."

            (folder / "my_agent.py").write_text("agent = Agent(\n")
            dev.wait_for(r"error  my_agent\.py, line 1: '\(' was never closed")
            dev.wait_for("the agent from before stays")
            with connect(f"ws://{address}/ws") as third:
                assert Talk(third).ask(final=True) == "New words."

            # The session from before all this still has the agent that it began with.
            assert Talk(first).ask() == "Old words."
        assert dev.interrupt() == 0
        assert "Traceback" not in dev.printed
        assert "you    Hello?\nagent  New words.\n" in dev.printed


def test_dev_watches_from_the_moment_it_is_told_so(folder):
    with running("dev", "my_agent.py", "--port", "0", cwd=folder) as dev:
        dev.wait_for("Follows changes")
        (folder / "words.py").write_text("WORDS = 'New words.'")
        (folder / "talk.wav").write_bytes(b"a recording is no source")
        dev.wait_for(r"reloaded words\.py; ")


def test_serve_answers_those_with_the_token_and_ends_with_ctrl_c(folder):
    token = "a-token-of-some-length"
    with running("serve", "my_agent.py", "--port", "0", cwd=folder, ANTIPHON_TOKEN=token) as serve:
        address = serve.wait_for(ADDRESS)[1]
        with pytest.raises(InvalidStatus) as refused:
            connect(f"ws://{address}/ws")
        assert refused.value.response.status_code in (401, 403)
        with connect(f"ws://{address}/ws?token={token}") as socket:
            assert Talk(socket).ask() == "Old words."
        assert serve.interrupt() == 0
        assert "Traceback" not in serve.printed
        assert token not in serve.printed
        assert "Old words." not in serve.printed


# ---- what can be wrong -----------------------------------------------------------------------


def complaint(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 1
    assert "Traceback" not in result.stderr
    return result.stderr


def test_a_host_that_others_reach_needs_a_token(folder):
    text = complaint("serve", "my_agent.py", "--host", "0.0.0.0")
    assert "needs a token" in text
    assert "--token or ANTIPHON_TOKEN" in text


def test_a_token_that_is_too_short(folder):
    assert "16 ASCII characters" in complaint("serve", "my_agent.py", "--token", "short")


@pytest.mark.parametrize("command", ["serve", "dev"])
def test_a_port_in_use_names_a_free_one(folder, command):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = complaint(command, "my_agent.py", "--port", str(port))
    assert f"port {port} is in use: try --port " in text


@pytest.mark.parametrize("command", ["serve", "dev"])
def test_an_agent_that_cannot_be_loaded_is_told_at_once(folder, command):
    (folder / "my_agent.py").write_text("1 / 0")
    assert "my_agent.py, line 1: ZeroDivisionError" in complaint(command, "my_agent.py")


def test_a_port_that_is_none(folder):
    assert "port=70000 is outside" in complaint("serve", "my_agent.py", "--port", "70000")
