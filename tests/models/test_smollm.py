from __future__ import annotations

import asyncio
from contextlib import aclosing
from importlib.util import find_spec

import pytest

from antiphon.context import LLMContext, Message, ToolCall, Usage
from antiphon.errors import ModelError, OptionError
from antiphon.models.smollm import SmolLM, _messages
from antiphon.models.store import State, Store

needs_model = [
    pytest.mark.real_time,
    pytest.mark.skipif(find_spec("xllamacpp") is None, reason="the extra smollm is not installed"),
    pytest.mark.skipif(
        Store().state("smollm2-135m") is not State.READY,
        reason="not in the store: antiphon models pull smollm2-135m",
    ),
]


def with_model(test):
    for mark in needs_model:
        test = mark(test)
    return test


def context_of(*texts):
    roles = ("user", "assistant")
    return LLMContext(
        "Answer briefly.", messages=[Message(roles[n % 2], text) for n, text in enumerate(texts)]
    )


async def answer(context, **options):
    async with aclosing(SmolLM(**options).generate(context)) as stream:
        return [item async for item in stream]


@with_model
async def test_it_streams_the_same_words_each_time():
    context = context_of("Tell me about bikes.")
    said = await answer(context, max_tokens=20)
    *words, usage = said
    assert len(words) > 10
    assert "bike" in "".join(words).lower()
    assert isinstance(usage, Usage)
    assert usage.output_tokens == 20
    again = await answer(context, max_tokens=20)
    assert again[:-1] == words
    assert again[-1].cached_tokens > 0.8 * again[-1].input_tokens, "what was read is kept"


@with_model
@pytest.mark.parametrize("way", ["close", "cancel"])
async def test_an_unwanted_answer_really_stops(way):
    llm = SmolLM(max_tokens=900)
    await answer(context_of("Tell me a very long story."), max_tokens=1)
    loop = asyncio.get_running_loop()
    if way == "close":
        stream = llm.generate(context_of("Tell me a very long story."))
        await anext(stream)
        stopped_at = loop.time()
        await stream.aclose()
    else:
        first = asyncio.Event()

        async def run():
            async with aclosing(llm.generate(context_of("Tell me a very long story."))) as stream:
                async for _ in stream:
                    first.set()

        async with asyncio.TaskGroup() as group:
            task = group.create_task(run())
            await first.wait()
            stopped_at = loop.time()
            task.cancel()
    assert loop.time() - stopped_at < 0.05
    # It answers one after the other: 900 tokens more would take 8 s.
    await answer(context_of("Tell me a very long story."), max_tokens=1)
    assert loop.time() - stopped_at < 1.0


@with_model
async def test_a_long_conversation_still_has_an_answer():
    said = await answer(context_of(*(f"Number {n}. " * 20 for n in range(41))), max_tokens=3)
    assert isinstance(said[-1], Usage)
    assert 300 < said[-1].input_tokens < 1000


def test_the_end_of_a_conversation_is_read():
    context = context_of(*(f"{n} " * 300 for n in range(100, 141)))
    first, *rest = _messages(context)
    assert first == {"role": "system", "content": "Answer briefly."}
    assert rest[-1] == {"role": "user", "content": "140 " * 300}
    assert sum(len(message["content"]) for message in rest) == 1500


def test_what_tools_gave_is_told():
    call = ToolCall("a", "order_status", {})
    context = LLMContext(
        messages=[
            Message("user", "Where is it?"),
            Message("assistant", "", calls=(call,)),
            Message("tool", "It ships today.", call_id="a"),
        ]
    )
    assert _messages(context) == [
        {"role": "user", "content": "Where is it?"},
        {"role": "system", "content": "It ships today."},
    ]


@pytest.mark.skipif(find_spec("xllamacpp") is not None, reason="the library is installed")
async def test_without_the_library():
    with pytest.raises(ModelError, match=r"antiphon\[smollm\]"):
        await SmolLM().prewarm()


def test_options():
    with pytest.raises(OptionError, match="max_tokens=0"):
        SmolLM(max_tokens=0)
    with pytest.raises(OptionError, match="did you mean 'temperature'"):
        SmolLM(temperatur=0)
