"""`SmolLM`: a language model of 135 million parameters in this process, as a source of tokens.

It streams real words on one thread, which is what tests of a pipeline need; what it says is often
wrong, and it cannot call tools. Needs the extra ``smollm``. Holds the service. Must not hold how a
conversation is written for OpenAI's API, which the library speaks too (`openai_messages`).
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import AsyncGenerator
from typing import Any

from antiphon.context import LLMContext, Usage
from antiphon.errors import ModelError
from antiphon.models import shared
from antiphon.models.store import Store
from antiphon.options import within
from antiphon.pipeline.offload import offloaded
from antiphon.services.base import LLM, LLMOutput
from antiphon.services.openai_messages import messages_of

__all__ = ["SmolLM"]

_MODEL = "smollm2-135m"
_WINDOW = 2048
"""Tokens of conversation and answer together: 50 MB of memory."""
_MOST_CHARACTERS = 1500
"""Of the conversation that is read, instructions apart: some 400 tokens, which take 2 s."""


class SmolLM(LLM):
    """Answers with SmolLM2-135M-Instruct, one conversation after the other, on one thread.

    First token after 5 ms for each token of what is new in the conversation, then 110 tokens a
    second. When closed or cancelled it stops after the token that it works on, within 10 ms; while
    it still reads the conversation, the library cannot be stopped: the wait ends at once, but its
    thread reads to the end.

    Args:
        max_tokens: Most tokens of one answer.
        temperature: Of the choice of words; 0 gives the likeliest ones, the same each time.

    Raises:
        OptionError: An option is outside its range.
    """

    name = f"smollm/{_MODEL}"

    def __init__(self, *, max_tokens: int = 120, temperature: float = 0.0) -> None:
        within("SmolLM", "max_tokens", max_tokens, 1, _WINDOW // 2, "tokens")
        within("SmolLM", "temperature", temperature, 0.0, 2.0, "(no unit)")
        self._options = {"max_tokens": max_tokens, "temperature": temperature}

    async def prewarm(self) -> None:
        """Load the model.

        Raises:
            ModelError: Its file is missing or damaged, or the library is not installed.
        """
        await shared.load(_MODEL, _load)

    async def generate(self, context: LLMContext) -> AsyncGenerator[LLMOutput, None]:
        """Answer the conversation as the model writes.

        Raises:
            ModelError: Its file is missing or damaged, or it fails.
        """
        server = await shared.load(_MODEL, _load)
        request = {
            "messages": _messages(context),
            "stream": True,
            "stream_options": {"include_usage": True},
            "cache_prompt": True,
            **self._options,
        }
        loop = asyncio.get_running_loop()
        # Never full: an answer has no more than `max_tokens` chunks.
        chunks: asyncio.Queue[Any] = asyncio.Queue()
        is_unwanted = threading.Event()

        def take(chunk: Any) -> bool:
            """Called for each token, in the thread; True ends the answer."""
            if not is_unwanted.is_set():
                loop.call_soon_threadsafe(chunks.put_nowait, chunk)
            return is_unwanted.is_set()

        def run() -> None:
            try:
                server.handle_chat_completions(request, take)
            finally:
                take(None)

        running = offloaded(run)
        try:
            while (chunk := await chunks.get()) is not None:
                for item in _read(chunk):
                    yield item
            await running
        finally:
            is_unwanted.set()
            running.cancel()


def _load() -> Any:
    try:
        import xllamacpp
    except ImportError as error:
        raise ModelError(_MODEL, "needs a library: pip install 'antiphon[smollm]'") from error
    options = xllamacpp.CommonParams()
    options.model.path = str(Store().path(_MODEL, "SmolLM2-135M-Instruct.Q4_1.gguf"))
    options.n_ctx = _WINDOW
    options.n_parallel = 1
    options.n_gpu_layers = 0
    # Its threads wait for each other by spinning: beside speech models, two are slower than one.
    options.cpuparams.n_threads = options.cpuparams_batch.n_threads = 1
    options.verbosity = -1
    # The library opens a port of this machine, whether it is wanted or not: nobody has the key.
    options.api_keys = [secrets.token_hex(32)]
    options.ui = options.endpoint_slots = options.endpoint_props = options.endpoint_metrics = False
    return xllamacpp.Server(options)


def _messages(context: LLMContext) -> list[dict[str, Any]]:
    """The end of the conversation, without calls; what tools gave is told as a note."""
    messages = [
        {"role": "system" if m["role"] == "tool" else m["role"], "content": m["content"]}
        for m in messages_of(context)
        if m["content"]
    ]
    kept = messages[:1] if context.instructions else []
    end: list[dict[str, Any]] = []
    left = _MOST_CHARACTERS
    for message in reversed(messages[len(kept) :]):
        text = message["content"][-left:]
        left -= len(text)
        end.insert(0, message | {"content": text})
        if left <= 0:
            break
    return kept + end


def _read(chunk: dict[str, Any]) -> list[LLMOutput]:
    if "error" in chunk:
        # Its message may hold words of the conversation.
        raise ModelError(_MODEL, f"refuses the request ({chunk['error'].get('type', 'unknown')})")
    said: list[LLMOutput] = [
        choice["delta"]["content"]
        for choice in chunk.get("choices", ())
        if choice.get("delta", {}).get("content")
    ]
    if usage := chunk.get("usage"):
        cached = usage.get("prompt_tokens_details", {}).get("cached_tokens", 0)
        said.append(Usage(usage["prompt_tokens"], cached, usage["completion_tokens"]))
    return said
