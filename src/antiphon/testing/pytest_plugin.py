"""pytest runs ``async def`` tests on a virtual loop, and finds the tasks they leave behind.

Holds hooks only. pytest imports this module at start-up in every project that has antiphon
installed: it must not import asyncio, nor anything of antiphon, before an async test runs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import pytest

__all__: list[str] = []

_SWITCH = "antiphon_virtual_time"
_OURS = ("virtual_time", "real_time")
# Tests with these marks belong to other plugins, whatever our switch says.
_THEIRS = ("anyio", "asyncio", "trio")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the switch."""
    parser.addini(
        _SWITCH,
        type="bool",
        default=False,
        help="run every `async def` test on antiphon's virtual loop",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks."""
    for line in (
        "virtual_time(**options): run this `async def` test on antiphon.testing.VirtualLoop, "
        "made with these options (limit, instant_limit, charge_executor)",
        "real_time: run this `async def` test on a real event loop",
    ):
        config.addinivalue_line("markers", line)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Put a plain function in the place of an ``async def`` test while pytest calls it."""
    __tracebackhide__ = True
    loop = _loop_of(pyfuncitem)
    test = pyfuncitem.obj
    # Hypothesis hides an `async def` test behind a plain function: each example gets its own loop.
    examples = getattr(test, "hypothesis", None)
    if loop is None:
        return (yield)
    if inspect.iscoroutinefunction(getattr(examples, "inner_test", None)):
        owner, name = examples, "inner_test"
    elif inspect.iscoroutinefunction(test):
        owner, name = pyfuncitem, "obj"
    else:
        return (yield)
    kind, options = loop
    original = getattr(owner, name)
    setattr(owner, name, _plain(pyfuncitem, original, kind, options))
    try:
        return (yield)
    finally:
        setattr(owner, name, original)


def _loop_of(item: pytest.Function) -> tuple[str, dict[str, Any]] | None:
    """Which loop the nearest mark, or else the switch, asks for, with its options."""
    for mark in item.iter_markers():
        if mark.name in _OURS:
            if mark.args:
                pytest.fail(f"the mark {mark.name} takes keywords only", pytrace=False)
            return mark.name, dict(mark.kwargs)
        if mark.name in _THEIRS:
            return None
    return ("virtual_time", {}) if item.config.getini(_SWITCH) else None


def _plain(
    item: pytest.Function,
    test: Callable[..., Coroutine[Any, Any, object]],
    kind: str,
    options: dict[str, Any],
) -> Callable[..., None]:
    def call(*args: object, **fixtures: object) -> None:
        __tracebackhide__ = True
        from antiphon.testing.async_test import run_test

        def tell(tasks: str) -> None:
            item.add_report_section("call", "tasks", tasks)

        trouble = run_test(lambda: test(*args, **fixtures), kind, options, tell)
        if trouble:
            pytest.fail(trouble, pytrace=False)

    return call
