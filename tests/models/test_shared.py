"""Loading once, for every loop and thread of the process."""

from __future__ import annotations

import asyncio
import threading

import pytest

from antiphon.errors import ModelError, UsageError
from antiphon.models import shared
from antiphon.models.shared import Shared
from antiphon.testing import run


class Loader:
    """Loads a new object each time, after as many failures as told."""

    def __init__(self, *failures):
        self.calls = 0
        self.failures = list(failures)
        self.begun = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self):
        self.begun.set()
        self.gate.wait(5)
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return object()


async def ask_at_once(thing, count=5):
    async with asyncio.TaskGroup() as tasks:
        asked = [tasks.create_task(thing.get()) for _ in range(count)]
    return {id(task.result()) for task in asked}


async def test_many_who_ask_at_once_get_one_object():
    load = Loader()
    thing = Shared("m", load)
    assert len(await ask_at_once(thing)) == 1
    assert load.calls == 1
    assert await thing.get() is thing.loaded


@pytest.mark.real_time
async def test_and_so_do_threads():
    load = Loader()
    thing = Shared("m", load)
    load.gate.clear()
    async with asyncio.TaskGroup() as tasks:
        loops = [
            tasks.create_task(asyncio.to_thread(lambda: asyncio.run(ask_at_once(thing))))
            for _ in range(3)
        ]
        waiting = tasks.create_task(ask_at_once(thing))
        await asyncio.sleep(0)
        load.gate.set()
    assert len(waiting.result().union(*(task.result() for task in loops))) == 1
    assert load.calls == 1


def test_a_second_loop_loads_nothing():
    load = Loader()
    thing = Shared("m", load)
    first = run(thing.get)
    assert run(thing.get) is first
    assert load.calls == 1


async def test_a_failure_is_told_to_all_and_tried_again():
    load = Loader(ValueError("no protobuf"))
    thing = Shared("m", load)
    with pytest.raises(ExceptionGroup) as caught:
        await ask_at_once(thing, 3)
    assert all(isinstance(error, ModelError) for error in caught.value.exceptions)
    assert "no protobuf" in str(caught.value.exceptions[0])
    assert "antiphon models pull --verify m" in str(caught.value.exceptions[0])
    await thing.get()
    assert load.calls == 2


async def test_a_missing_library_is_named_with_the_way_to_get_it():
    with pytest.raises(ModelError, match=r"pip install 'antiphon\[local\]'"):
        await Shared("m", Loader(ImportError("No module named 'onnxruntime'"))).get()


async def test_a_model_error_passes_as_it_is():
    error = ModelError("m", "is missing; run: antiphon models pull m")
    with pytest.raises(ModelError) as caught:
        await Shared("m", Loader(error)).get()
    assert caught.value is error


@pytest.mark.real_time
async def test_who_is_cancelled_does_not_disturb_the_others():
    load = Loader()
    load.gate.clear()
    thing = Shared("m", load)
    async with asyncio.TaskGroup() as tasks:
        first, second = (tasks.create_task(thing.get()) for _ in range(2))
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.wait([first])
        load.gate.set()
    assert second.result() is thing.loaded
    assert load.calls == 1


@pytest.mark.real_time
async def test_when_all_are_cancelled_the_load_is_kept_for_the_next():
    load = Loader()
    load.gate.clear()
    thing = Shared("m", load)
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(thing.get())
        await asyncio.to_thread(load.begun.wait, 5)
        first.cancel()
    load.gate.set()
    await thing.get()
    assert load.calls == 1


async def test_what_was_not_loaded_cannot_be_used():
    with pytest.raises(UsageError, match="prewarm"):
        _ = Shared("m", Loader()).loaded


async def test_load_keeps_one_object_for_each_function():
    one, other = Loader(), Loader()
    assert await shared.load("m", one) is await shared.load("m", one)
    assert await shared.load("m", one) is not await shared.load("m", other)
    assert one.calls == 1
