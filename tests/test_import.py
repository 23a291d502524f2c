from __future__ import annotations

import json
import subprocess
import sys

import pytest

# User and system time of the process, so that a busy machine does not count.
MEASURE = """
import json, resource, sys
def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
before = cpu()
import {module}
spent = cpu() - before
print(json.dumps([spent, sorted(sys.modules)]))
"""


def import_in_fresh_interpreter(module: str) -> tuple[float, list[str]]:
    command = [sys.executable, "-c", MEASURE.format(module=module)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    spent, modules = json.loads(done.stdout)
    return spent, modules


def test_import_is_cheap():
    # The least of several: what else the machine does only adds.
    spent = min(import_in_fresh_interpreter("antiphon")[0] for _ in range(5))
    assert spent <= 0.100


def test_import_is_small():
    _, modules = import_in_fresh_interpreter("antiphon")
    assert "antiphon" in modules
    assert len(modules) <= 250


@pytest.mark.parametrize("heavy", ["numpy", "onnxruntime", "ctranslate2", "starlette", "typer"])
def test_import_leaves_out(heavy):
    _, modules = import_in_fresh_interpreter("antiphon")
    assert heavy not in modules


def test_pytest_starts_without_asyncio_and_without_the_rest_of_antiphon():
    _, bare = import_in_fresh_interpreter("pytest")
    _, modules = import_in_fresh_interpreter("pytest, antiphon.testing.pytest_plugin")
    ours = {name for name in modules if name.partition(".")[0] == "antiphon"}
    assert {"antiphon", "antiphon.testing", "antiphon.testing.pytest_plugin"} <= ours
    assert not {name for name in ours if name.count(".") >= 2} - {"antiphon.testing.pytest_plugin"}
    assert "numpy" not in modules
    assert ("asyncio" in modules) <= ("asyncio" in bare)
