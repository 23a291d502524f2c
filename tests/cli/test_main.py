from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from antiphon.cli import problems
from antiphon.cli.main import app
from antiphon.errors import StageError, UsageError
from antiphon.server import ServerOptions

COMMANDS = ("demo", "call", "dev", "serve")


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments), catch_exceptions=False)


def test_alone_it_says_what_to_do_first(tmp_path, monkeypatch):
    monkeypatch.setenv("ANTIPHON_MODELS", str(tmp_path))
    result = run()
    assert result.exit_code == 0
    first, second = (
        result.stdout.index("antiphon models pull"),
        result.stdout.index("antiphon demo"),
    )
    assert first < second
    assert "MB" in result.stdout


def test_version():
    assert run("--version").stdout == f"antiphon {version('antiphon')}\n"


def test_help_lists_every_command_once():
    shown = run("--help").stdout
    for command in (*COMMANDS, "models"):
        assert sum(line.startswith(f"│ {command} ") for line in shown.splitlines()) == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_teaches_with_two_examples_that_it_understands(command):
    shown = run(command, "--help").stdout
    examples = [line.strip() for line in shown.splitlines() if f"antiphon {command} " in f"{line} "]
    examples = [line for line in examples if not line.startswith("Usage")]
    assert len(examples) == 2
    for example in examples:
        words = [word for word in example.split() if "=" not in word]
        # With --help behind it, the parser refuses unknown options and runs nothing.
        assert run(*words[1:], "--help").exit_code == 0


@pytest.mark.parametrize("command", ["demo", "dev", "serve"])
def test_the_port_that_help_names_is_the_one_that_is_used(command):
    assert f"[default: ({ServerOptions.port})]" in run(command, "--help").stdout


def test_an_unknown_command_names_the_nearest():
    result = run("dmeo")
    assert result.exit_code == 2
    assert "demo" in result.stderr


def test_as_a_module_and_without_anything_heavy():
    code = (
        "import sys; sys.argv = ['antiphon', '--help']\n"
        "try:\n    import runpy; runpy.run_module('antiphon', run_name='__main__')\n"
        "except SystemExit as end: print(end.code, *sorted(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "demo" in done.stdout
    ended, *modules = done.stderr.split()
    assert ended == "0"
    heavy = {"numpy", "onnxruntime", "ctranslate2", "starlette", "uvicorn", "asyncio", "watchfiles"}
    assert not heavy & set(modules)


# ---- how commands end ------------------------------------------------------------------------


def test_an_error_with_a_remedy_is_a_paragraph_and_exit_code_1(capsys):
    with pytest.raises(problems.typer.Exit) as ended, problems.explained(debug=False):
        raise UsageError("mend this")
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err.endswith("mend this\n")


def test_a_bug_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError), problems.explained(debug=False):
        1 / 0  # noqa: B018


def test_ctrl_c_is_exit_code_130():
    with pytest.raises(problems.typer.Exit) as ended, problems.explained(debug=False):
        raise KeyboardInterrupt
    assert ended.value.exit_code == 130


def test_a_stage_that_raised_is_explained_by_its_cause():
    error = StageError("MyStage")
    error.__cause__ = ValueError("wrong")
    assert problems.explain(error) == "stage 'MyStage' raised: ValueError: wrong"
