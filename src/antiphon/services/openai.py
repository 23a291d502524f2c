"""`OpenAICompatibleLLM`: any server that speaks OpenAI's Chat Completions.

Holds the request, the reading of its stream, and what its errors mean. Must not let the vendor's
types out: the conversation goes through `openai_messages`. The library `openai` is imported when
the service is first used (extra ``openai``).
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from antiphon.context import LLMContext, ToolCall, Usage
from antiphon.errors import OptionError, RemoteError
from antiphon.options import within
from antiphon.pipeline.offload import offload
from antiphon.services.base import LLM, LLMOutput
from antiphon.services.openai_errors import explain
from antiphon.services.openai_messages import messages_of, tools_of

__all__ = ["OpenAICompatibleLLM"]


class OpenAICompatibleLLM(LLM):
    """Answers with a model behind an HTTP server: llama.cpp, Ollama, vLLM, or a provider.

    Never retries by itself: an error says whether that could help.

    Args:
        base_url: Of the server, with its version, such as ``"http://127.0.0.1:8080/v1"``.
        model: As the server names it.
        api_key: The server's key; ``OPENAI_API_KEY`` unless given. Local servers need none.
        temperature: Of the choice of words, 0 for the likeliest ones; the server's own unless
            given.
        max_tokens: Most tokens of one answer; the server's own limit unless given.
        timeout: Seconds that it may take to the first token, and from each to the next.

    Raises:
        OptionError: An option is outside its range.
    """

    def __init__(
        self,
        *,
        base_url: str,
        model: str,
        api_key: str | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
        timeout: float = 10.0,
    ) -> None:
        owner = "OpenAICompatibleLLM"
        if not base_url.startswith(("http://", "https://")) or not urlsplit(base_url).hostname:
            raise OptionError(f"{owner}: base_url must be like 'http://127.0.0.1:8080/v1'")
        if not model:
            raise OptionError(f"{owner}: model must be the name of a model of the server")
        if temperature is not None:
            within(owner, "temperature", temperature, 0.0, 2.0, "(no unit)")
        if max_tokens is not None:
            within(owner, "max_tokens", max_tokens, 1, 1_000_000, "tokens")
        within(owner, "timeout", timeout, 0.05, 600.0, "seconds")
        self.name = f"openai/{model}"
        self._base_url = base_url
        self._model = model
        self._key = api_key or os.environ.get("OPENAI_API_KEY")
        self._choices = {"temperature": temperature, "max_tokens": max_tokens}
        self._timeout = timeout
        self._client: Any = None
        self._making = threading.Lock()
        self._is_connected = False
        self._reports_usage = True

    async def prewarm(self) -> None:
        """Import the library, and see once that the server answers.

        Raises:
            RemoteError: It does not, or it refuses the key.
        """
        client = await self._ready()
        if self._is_connected:
            return
        try:
            async with asyncio.timeout(self._timeout):
                # Raw: what the list looks like does not matter.
                await client.models.with_raw_response.list()
        except TimeoutError:
            raise self._too_slow("answer") from None
        except import_module("openai").OpenAIError as error:
            problem = self._explain(error)
            # Not every server lists its models; what matters is that it is there and lets us in.
            if problem.status in {None, 401, 403}:
                raise problem from None
        self._is_connected = True

    async def close(self) -> None:
        """Close the connections. The service may be used again afterwards."""
        client, self._client, self._is_connected = self._client, None, False
        if client is not None:
            await client.close()

    async def generate(self, context: LLMContext) -> AsyncGenerator[LLMOutput, None]:
        """Answer the conversation as the model writes.

        When closed or cancelled, the connection is closed, by which servers know to stop.

        Raises:
            RemoteError: There is no server, it refuses, it is too slow, or what it sends is no
                answer. The text holds neither the key nor words of the conversation.
        """
        request = {
            "model": self._model,
            "messages": messages_of(context),
            "stream": True,
            **{name: value for name, value in self._choices.items() if value is not None},
        }
        if context.tools:
            request["tools"] = tools_of(context)
        answer = _Answer()
        async with aclosing(self._chunks(request)) as chunks:
            async for chunk in chunks:
                text = self._read(answer, chunk)
                if text:
                    yield text
        if not answer.is_finished:
            raise RemoteError(self.name, "the answer ended in the middle", retryable=True)
        known = [call.id for message in context.messages for call in message.calls]
        for call in self._calls(answer, known):
            yield call
        if answer.usage is not None:
            yield answer.usage

    # ---- the request ------------------------------------------------------------------------

    async def _ready(self) -> Any:
        try:
            return self._client or await offload(self._make_client)
        except ImportError as error:
            problem = "needs a library: pip install 'antiphon[openai]'"
            raise RemoteError(self.name, problem) from error

    def _make_client(self) -> Any:
        # In a thread: the import takes 0.5 s, and two sessions may come at once.
        with self._making:
            if self._client is None:
                self._client = import_module("openai").AsyncOpenAI(
                    base_url=self._base_url,
                    # The library insists on a key; a server without keys takes any.
                    api_key=self._key or "none",
                    max_retries=0,
                    # Ours counts to each token, the library's to each byte.
                    timeout=None,
                )
                # Both are imported when they are first named.
                _ = self._client.chat.completions, self._client.models
            return self._client

    async def _chunks(self, request: dict[str, Any]) -> AsyncGenerator[Any, None]:
        client = await self._ready()
        openai = import_module("openai")
        stream = None
        try:
            async with asyncio.timeout(self._timeout):
                stream = await self._open(client, request)
            while True:
                async with asyncio.timeout(self._timeout):
                    chunk = await anext(stream, None)
                if chunk is None:
                    return
                yield chunk
        except TimeoutError:
            raise self._too_slow("send a token") from None
        except openai.OpenAIError as error:
            # The cause holds the request, and so the key and the conversation.
            raise self._explain(error) from None
        # What the library raises for bytes that are no JSON, or JSON that is no chunk.
        except (ValueError, TypeError, AttributeError) as error:
            problem = f"sends what is no chat completion ({type(error).__name__})"
            raise RemoteError(self.name, problem) from None
        finally:
            if stream is not None:
                await stream.close()

    async def _open(self, client: Any, request: dict[str, Any]) -> Any:
        """Start the request; once more without the wish for usage if that is what is refused."""
        openai = import_module("openai")
        while True:
            asks = self._reports_usage
            wish = {"stream_options": {"include_usage": True}} if asks else {}
            try:
                return await client.chat.completions.create(**request, **wish)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                if not (asks and "stream_options" in str(error)):
                    raise
                self._reports_usage = False

    def _explain(self, error: Exception) -> RemoteError:
        return explain(self.name, self._base_url, self._model, error, has_key=bool(self._key))

    def _too_slow(self, doing: str) -> RemoteError:
        problem = f"did not {doing} within {self._timeout:g} s (timeout)"
        return RemoteError(self.name, problem, retryable=True)

    # ---- the answer -------------------------------------------------------------------------

    def _read(self, answer: _Answer, chunk: Any) -> str:
        """Enter one chunk; gives the characters in it."""
        try:
            if chunk.usage is not None:
                answer.usage = _usage(chunk.usage)
            text = ""
            for choice in chunk.choices or ():
                delta = choice.delta
                text += (delta.content or "") + (getattr(delta, "refusal", None) or "")
                for part in delta.tool_calls or ():
                    answer.add_call(part)
                if choice.finish_reason is not None:
                    answer.is_finished = True
        except (AttributeError, TypeError) as error:
            problem = f"sends what is no chat completion ({type(error).__name__})"
            raise RemoteError(self.name, problem) from None
        return text

    def _calls(self, answer: _Answer, known: list[str]) -> list[ToolCall]:
        calls = []
        for part in answer.calls:
            if not part.name:
                raise RemoteError(self.name, "the model calls a function without a name")
            try:
                # No argument at all is written as nothing by some servers.
                arguments = json.loads(part.arguments or "{}")
            except ValueError:
                arguments = None
            if not isinstance(arguments, dict):
                problem = f"the model's arguments for the function {part.name!r} are no JSON object"
                raise RemoteError(self.name, problem, retryable=True) from None
            # Some servers give no id, or the same in every answer.
            is_new = part.id and part.id not in known
            known.append(part.id if is_new else f"call_{len(known) + 1}")
            calls.append(ToolCall(known[-1], part.name, arguments))
        return calls


@dataclass(slots=True)
class _PartialCall:
    """A call of which some pieces have come."""

    index: int | None
    id: str = ""
    name: str = ""
    arguments: str = ""


class _Answer:
    """What has come of one answer, text apart."""

    def __init__(self) -> None:
        self.calls: list[_PartialCall] = []
        self.usage: Usage | None = None
        self.is_finished = False

    def add_call(self, part: Any) -> None:
        """Enter a piece of a call: the id and the name come in its first piece only."""
        index = getattr(part, "index", None)
        open_calls = [call for call in self.calls if call.index == index]
        # Some servers give every call the index 0, and each its own id.
        is_new = not open_calls or (part.id and open_calls[-1].id not in {"", part.id})
        if is_new:
            self.calls.append(_PartialCall(index))
        call = self.calls[-1] if is_new else open_calls[-1]
        call.id = call.id or part.id or ""
        if part.function is not None:
            call.name = call.name or part.function.name or ""
            call.arguments += part.function.arguments or ""


def _usage(usage: Any) -> Usage:
    details = getattr(usage, "prompt_tokens_details", None)
    return Usage(
        input_tokens=usage.prompt_tokens or 0,
        cached_tokens=getattr(details, "cached_tokens", None) or 0,
        output_tokens=usage.completion_tokens or 0,
    )
