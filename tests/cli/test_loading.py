from __future__ import annotations

import sys
from pathlib import Path

import pytest

from antiphon import Agent
from antiphon.cli.loading import AgentReference
from antiphon.errors import UsageError

SERVICES = """
from antiphon import Agent
from antiphon.testing import ScriptedLLM, ScriptedSTT, ScriptedTTS, ScriptedVAD

def make(**options):
    return Agent(
        vad=ScriptedVAD(), stt=ScriptedSTT("hello"), llm=ScriptedLLM("hi"), tts=ScriptedTTS(),
        turn_detector=None, **options,
    )
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(tmp_path)):
            del sys.modules[name]


def write(folder: Path, text: str, name: str = "my_agent.py") -> str:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(SERVICES + text)
    return name


def load(reference: str) -> Agent:
    return AgentReference.parse(reference).load()


def complaint(reference: str) -> str:
    with pytest.raises(UsageError) as caught:
        load(reference)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "target", "name"),
    [
        ("my_agent.py", "my_agent.py", None),
        ("my_agent.py:night", "my_agent.py", "night"),
        ("shop.agents:night", "shop.agents", "night"),
        ("shop.agents", "shop.agents", None),
        (r"C:\shop\my_agent.py", r"C:\shop\my_agent.py", None),
        (r"C:\shop\my_agent.py:night", r"C:\shop\my_agent.py", "night"),
    ],
)
def test_reads_a_reference(text, target, name):
    reference = AgentReference.parse(text)
    assert (reference.target, reference.name) == (target, name)
    assert str(reference) == text


def test_takes_the_only_agent(folder):
    assert load(write(folder, "bikes = make(greeting='one')")).greeting == "one"


def test_takes_the_one_called_agent(folder):
    write(folder, "other = make(greeting='no')\nagent = make(greeting='yes')")
    assert load("my_agent.py").greeting == "yes"


def test_takes_the_one_that_is_named(folder):
    write(folder, "other = make(greeting='yes')\nagent = make(greeting='no')")
    assert load("my_agent.py:other").greeting == "yes"


def test_one_agent_under_two_names_is_one(folder):
    assert load(write(folder, "one = two = make(greeting='same')")).greeting == "same"


def test_imports_its_neighbours(folder):
    write(folder, "GREETING = 'from beside'", "facts_beside.py")
    write(folder, "import facts_beside\nagent = make(greeting=facts_beside.GREETING)")
    assert load("my_agent.py").greeting == "from beside"


def test_a_module_by_its_dotted_name(folder):
    write(folder, "", "some_shop/__init__.py")
    write(folder, "night = make(greeting='late')", "some_shop/agents.py")
    assert load("some_shop.agents:night").greeting == "late"
    assert AgentReference.parse("some_shop.agents").folder() == folder / "some_shop"


def test_a_file_is_run_anew_and_so_are_its_neighbours(folder):
    write(folder, "GREETING = 'old'", "facts_anew.py")
    write(folder, "import facts_anew\nagent = make(greeting=facts_anew.GREETING)")
    reference = AgentReference.parse("my_agent.py")
    old = reference.load()
    (folder / "facts_anew.py").write_text("GREETING = 'newer'")
    reference.forget()
    assert (old.greeting, reference.load().greeting) == ("old", "newer")


def test_forgetting_leaves_everything_else_alone(folder):
    write(folder, "agent = make()")
    reference = AgentReference.parse("my_agent.py")
    reference.load()
    before = {name for name in sys.modules if name.startswith("antiphon.") or name == "pytest"}
    reference.forget()
    assert before <= set(sys.modules)
    assert "antiphon_agent_my_agent" not in sys.modules


# ---- what can be wrong -----------------------------------------------------------------------


def test_no_agent(folder):
    text = complaint(write(folder, "agnt = 3"))
    assert text == "my_agent.py has no Agent: write `agent = Agent(...)` in it"


def test_several_agents(folder):
    text = complaint(write(folder, "day = make()\nnight = make()"))
    assert "several Agents (day, night)" in text
    assert "my_agent.py:day" in text


def test_a_name_that_is_not_there(folder):
    write(folder, "day = make()")
    assert complaint("my_agent.py:night") == "my_agent.py has no 'night'; it has day"


def test_a_name_that_is_no_agent(folder):
    assert "make is no Agent but of type function" in complaint(write(folder, "") + ":make")


def test_no_such_file_names_the_nearest(folder):
    write(folder, "agent = make()")
    assert complaint("my_agnt.py") == "there is no file my_agnt.py; did you mean my_agent.py?"


def test_a_folder_is_no_file(folder):
    (folder / "agents.py").mkdir()
    assert "is a folder" in complaint("agents.py")


def test_a_file_that_may_not_be_read(folder):
    write(folder, "agent = make()")
    (folder / "my_agent.py").unlink()
    (folder / "my_agent.py").symlink_to(folder / "my_agent.py")
    assert "my_agent.py" in complaint("my_agent.py")


def test_no_such_module_explains_files(folder):
    text = complaint("no_such_shop.agents")
    assert "no module 'no_such_shop.agents'" in text
    assert "no_such_shop/agents.py" in text


def test_a_syntax_error_shows_the_place(folder):
    (folder / "my_agent.py").write_text("x = 1\nagent = Agent(\n    greeting='hi'\n")
    text = complaint("my_agent.py")
    assert text.startswith("my_agent.py, line 2: '(' was never closed")
    assert "agent = Agent(\n                 ^" in text


def test_an_unknown_option_names_line_and_nearest(folder):
    (folder / "my_agent.py").write_text("from antiphon import Agent\nagent = Agent(greting='hi')\n")
    text = complaint("my_agent.py")
    assert text == "my_agent.py, line 2: Agent has no option 'greting'; did you mean 'greeting'?"


def test_an_exception_names_line_kind_and_text(folder):
    (folder / "my_agent.py").write_text("\n\nraise ValueError('no shop today')\n")
    assert complaint("my_agent.py") == "my_agent.py, line 3: ValueError: no shop today"


def test_an_exception_in_a_neighbour_names_the_neighbour(folder):
    (folder / "facts_broken.py").write_text("1 / 0\n")
    (folder / "my_agent.py").write_text("import facts_broken\n")
    assert (
        complaint("my_agent.py") == "facts_broken.py, line 1: ZeroDivisionError: division by zero"
    )


def test_a_package_that_is_missing(folder):
    (folder / "my_agent.py").write_text("import no_such_package\n")
    assert "line 1: the package 'no_such_package' is not installed" in complaint("my_agent.py")


def test_a_file_that_exits(folder):
    (folder / "my_agent.py").write_text("raise SystemExit(3)\n")
    assert "ended by itself" in complaint("my_agent.py")


def test_the_cause_is_kept_for_debug(folder):
    (folder / "my_agent.py").write_text("1 / 0\n")
    with pytest.raises(UsageError) as caught:
        load("my_agent.py")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
