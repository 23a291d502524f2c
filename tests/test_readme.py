"""The README's agent answers, and its command lines are understood."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from antiphon.agent.tools import run_tool
from antiphon.cli.loading import AgentReference
from antiphon.cli.main import app
from antiphon.context import Message, ToolCall

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def agent(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "bikes.py").write_text(EXAMPLES[0])
    return AgentReference.parse(str(tmp_path / "bikes.py")).load()


async def asked(agent, question: str) -> list:
    context = agent.new_context()
    context.append(Message("user", question))
    return [item async for item in agent.llm.generate(context)]


async def test_the_first_example_answers(agent):
    assert "".join(await asked(agent, "When are you open?")) == (
        "We are open Monday to Friday from nine to six."
    )


async def test_the_first_example_calls_its_function(agent):
    (called,) = await asked(agent, "Where is my order 4512?")
    assert isinstance(called, ToolCall)
    ended = await run_tool({tool.name: tool for tool in agent.tools}, 1, called)
    assert (ended.result, ended.failed) == ("Order 4512 ships tomorrow afternoon.", False)


@pytest.mark.parametrize("command", re.findall(r"bin/antiphon (.+?)(?:  +#.*)?$", README, re.M))
def test_every_command_line_is_understood(command):
    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0


@pytest.mark.parametrize("target", re.findall(r"^    make (\w+)", README, re.MULTILINE))
def test_every_make_target_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
