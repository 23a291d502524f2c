from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import antiphon

LAZY = "import antiphon, sys; {use}; print(*sorted(sys.modules))"


def modules_after(use: str) -> set[str]:
    command = [sys.executable, "-c", LAZY.format(use=use)]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def test_every_name_resolves_to_what_its_module_calls_so():
    for name in antiphon.__all__:
        exported = getattr(antiphon, name)
        assert exported.__name__ == name
        assert name in import_module(exported.__module__).__all__


def test_the_homes_hold_exactly_what_is_exported():
    homes = [name for names in antiphon._HOMES.values() for name in names]
    assert sorted(homes) == sorted(antiphon.__all__)
    assert sorted(antiphon.__all__) == antiphon.__all__


def test_dir_shows_the_names():
    assert set(antiphon.__all__) <= set(dir(antiphon))


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Agnt'"):
        antiphon.Agnt  # noqa: B018


def test_nothing_is_loaded_before_it_is_asked_for():
    assert not {"asyncio", "antiphon.agent", "antiphon.pipeline"} & modules_after("pass")
    assert "antiphon.agent.agent" in modules_after("antiphon.Agent")


def test_an_agent_is_written_without_numpy():
    used = modules_after("from antiphon import Agent, Tool, TurnOptions, PipelineTask")
    assert not {"numpy", "onnxruntime", "ctranslate2", "starlette", "typer"} & used
    assert len(used) <= 280  # it is 248 on Python 3.11; each version has its own modules
