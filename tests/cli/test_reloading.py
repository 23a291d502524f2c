from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console
from watchfiles import Change

from antiphon.cli.loading import AgentReference
from antiphon.cli.reloading import Reloading, _Sources, folders_to_watch

AGENT = """
from antiphon import Agent
from antiphon.errors import ModelError
from antiphon.testing import ScriptedLLM, ScriptedSTT, ScriptedTTS, ScriptedVAD

class MissingLLM(ScriptedLLM):
    async def prewarm(self):
        raise ModelError("brain", "is missing")

agent = Agent(
    greeting="{greeting}", vad=ScriptedVAD(), stt=ScriptedSTT("hello"), llm={llm}("hi"),
    tts=ScriptedTTS(), turn_detector=None,
)
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))

    def write(greeting: str, llm: str = "ScriptedLLM") -> AgentReference:
        file = tmp_path / "my_agent.py"
        file.write_text(AGENT.format(greeting=greeting, llm=llm))
        return AgentReference.parse(str(file))

    return write


def made(reference: AgentReference) -> tuple[Reloading, io.StringIO]:
    shown = io.StringIO()
    return Reloading(reference, Console(file=shown, width=80, highlight=False)), shown


async def test_what_was_saved_is_taken(write):
    reloading, shown = made(write("old"))
    write("new")
    await reloading.reload("my_agent.py")
    assert reloading.agent.greeting == "new"
    assert shown.getvalue().startswith("reloaded my_agent.py; new sessions get it")


async def test_an_agent_whose_models_are_missing_is_not_taken(write):
    reloading, shown = made(write("old"))
    write("new", llm="MissingLLM")
    await reloading.reload("my_agent.py")
    assert reloading.agent.greeting == "old"
    assert "error  model 'brain': is missing" in shown.getvalue()
    assert "the agent from before stays" in shown.getvalue()


async def test_a_file_that_is_gone_for_a_moment_is_not_taken(write, tmp_path):
    reloading, shown = made(write("old"))
    (tmp_path / "my_agent.py").unlink()
    await reloading.reload("my_agent.py")
    assert "there is no file" in " ".join(shown.getvalue().split())
    write("new")
    await reloading.reload("my_agent.py")
    assert reloading.agent.greeting == "new"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/shop/my_agent.py", True),
        ("/shop/facts.txt", True),
        ("/shop/talk.wav", False),
        ("/shop/__pycache__/my_agent.cpython-311.pyc", False),
        ("/shop/.venv/lib/thing.py", False),
    ],
)
def test_which_changes_count(path, expected):
    assert _Sources()(Change.modified, path) is expected


def test_environments_and_caches_are_not_watched(tmp_path):
    for name in ("facts/more", ".git/objects", "__pycache__", "env/lib", "node_modules/x"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "env" / "pyvenv.cfg").touch()
    assert folders_to_watch(tmp_path) == [
        tmp_path,
        tmp_path / "facts",
        tmp_path / "facts" / "more",
    ]


def test_very_many_folders_are_not_watched(tmp_path):
    for number in range(501):
        (tmp_path / str(number)).mkdir()
    assert folders_to_watch(tmp_path) == [tmp_path]
