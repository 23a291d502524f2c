from __future__ import annotations

import asyncio
import json
import traceback
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from antiphon.context import LLMContext, Message, ToolCall, ToolDescription, Usage
from antiphon.errors import OptionError, RemoteError
from antiphon.services.openai import OpenAICompatibleLLM
from antiphon.services.openai_messages import messages_of

pytestmark = pytest.mark.real_time

KEY = "sk-very-secret"
WORDS = "my grandmother's maiden name"


@pytest.fixture(autouse=True)
def no_key_of_the_developer(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@dataclass
class Server:
    """A server that answers each request as `answer` says, on real sockets."""

    url: str = ""
    requests: list[dict] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)
    connections: int = 0
    reader: asyncio.StreamReader | None = None
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    hung_up_at: float = 0.0

    async def wait_hang_up(self):
        assert await self.reader.read(1) == b"", "nothing may come while we answer, but the end"
        self.hung_up_at = asyncio.get_running_loop().time()
        self.hung_up.set()


@asynccontextmanager
async def serving(answer):
    server = Server()

    async def talk(reader, writer):
        server.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                server.headers.append(head)
                length = next(
                    (
                        int(x[15:])
                        for x in head.lower().split("\r\n")
                        if x[:15] == "content-length:"
                    ),
                    0,
                )
                body = await reader.readexactly(length)
                server.requests.append(json.loads(body) if body else {})
                server.reader = reader
                await answer(server, writer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    listener = await asyncio.start_server(talk, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    server.url = f"http://127.0.0.1:{port}/v1"
    try:
        yield server
    finally:
        listener.close()
        await listener.wait_closed()


def begin(writer):
    writer.write(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )


def send(writer, data):
    line = data if isinstance(data, bytes) else f"data: {json.dumps(data)}\n\n".encode()
    writer.write(b"%x\r\n%s\r\n" % (len(line), line))


def end(writer):
    send(writer, b"data: [DONE]\n\n")
    writer.write(b"0\r\n\r\n")


def delta(**values):
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": values, "finish_reason": None}],
    }


def finish(reason="stop"):
    return {**delta(), "choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


def streaming(*chunks):
    async def answer(server, writer):
        begin(writer)
        for chunk in chunks:
            send(writer, chunk)
        end(writer)

    return answer


def refusing(status, body, headers=""):
    async def answer(server, writer):
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"HTTP/1.1 {status} No\r\ncontent-length: {len(text)}\r\n{headers}\r\n"
        writer.write(head.encode() + text)

    return answer


CONTEXT = LLMContext("Be brief.", messages=[Message("user", WORDS)])


@asynccontextmanager
async def asking(answer, **options):
    async with serving(answer) as server:
        llm = OpenAICompatibleLLM(base_url=server.url, model="m", **options)
        try:
            yield llm, server
        finally:
            await llm.close()


async def ask(answer, context=CONTEXT, **options):
    async with asking(answer, **options) as (llm, _), aclosing(llm.generate(context)) as stream:
        return [item async for item in stream]


async def failure(answer, **options):
    with pytest.raises(RemoteError) as caught:
        await ask(answer, **options)
    error = caught.value
    seen = "".join(traceback.format_exception(error))
    assert KEY not in seen
    assert WORDS not in seen
    return error


# ---- what comes ------------------------------------------------------------------------------


async def test_text_comes_as_it_is_written_and_usage_at_the_end():
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 2,
        "total_tokens": 102,
        "prompt_tokens_details": {"cached_tokens": 64},
    }
    said = await ask(
        streaming(
            delta(role="assistant", content=""),
            delta(content="Hel"),
            delta(content="lo."),
            finish(),
            {**delta(), "choices": [], "usage": usage},
        )
    )
    assert said == ["Hel", "lo.", Usage(input_tokens=100, cached_tokens=64, output_tokens=2)]


async def test_the_first_token_does_not_wait_for_the_last():
    more = asyncio.Event()

    async def answer(server, writer):
        begin(writer)
        send(writer, delta(content="One"))
        await more.wait()
        send(writer, delta(content=" two"))
        send(writer, finish())
        end(writer)

    async with asking(answer) as (llm, _), aclosing(llm.generate(CONTEXT)) as stream:
        assert await anext(stream) == "One"
        more.set()
        assert [item async for item in stream] == [" two"]


async def test_a_second_turn_uses_the_same_connection():
    async with asking(streaming(delta(content="Hi"), finish())) as (llm, server):
        await llm.prewarm()
        for _ in range(3):
            async with aclosing(llm.generate(CONTEXT)) as stream:
                assert [item async for item in stream] == ["Hi"]
        assert server.connections == 1


async def test_what_is_sent():
    tool = ToolDescription("order_status", "Tells it.", {"type": "object", "properties": {}})
    context = LLMContext("Be brief.", tools=[tool], messages=[Message("user", "Hi")])
    options = {"api_key": KEY, "temperature": 0.5, "max_tokens": 50}
    async with (
        asking(streaming(finish()), **options) as (llm, server),
        aclosing(llm.generate(context)) as stream,
    ):
        assert [item async for item in stream] == []
    (request,) = server.requests
    assert request == {
        "model": "m",
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "max_tokens": 50,
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "order_status",
                    "description": "Tells it.",
                    "parameters": {"type": "object", "properties": {}},
                },
            }
        ],
    }
    assert server.headers[0].startswith("POST /v1/chat/completions ")
    assert f"authorization: bearer {KEY}" in server.headers[0].lower()


async def test_the_key_may_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    async with asking(streaming(finish())) as (llm, server):
        await llm.prewarm()
    assert f"bearer {KEY}" in server.headers[0].lower()


async def test_a_server_that_knows_no_usage():
    async def answer(server, writer):
        if "stream_options" in server.requests[-1]:
            error = {"error": {"message": "Unknown field: stream_options"}}
            await refusing(400, error)(server, writer)
        else:
            await streaming(delta(content="Hi"), finish())(server, writer)

    async with asking(answer) as (llm, server):
        for _ in range(2):
            async with aclosing(llm.generate(CONTEXT)) as stream:
                assert [item async for item in stream] == ["Hi"]
    assert len(server.requests) == 3, "it is asked once, not in every turn"


# ---- tool calls ------------------------------------------------------------------------------


def call(index, id=None, name=None, arguments=None):
    part = {"index": index, "function": {"name": name, "arguments": arguments}}
    return part | ({"id": id, "type": "function"} if id else {})


async def test_calls_are_put_together_from_their_pieces():
    said = await ask(
        streaming(
            delta(content="Let me look."),
            delta(tool_calls=[call(0, "a", "first", ""), call(1, "b", "second", '{"n"')]),
            delta(tool_calls=[call(1, arguments=": 2}"), call(0, arguments='{"x": ')]),
            delta(tool_calls=[call(0, arguments='"y"}')]),
            finish("tool_calls"),
        )
    )
    assert said == [
        "Let me look.",
        ToolCall("a", "first", {"x": "y"}),
        ToolCall("b", "second", {"n": 2}),
    ]


async def test_calls_of_servers_that_number_them_badly():
    said = await ask(
        streaming(
            delta(tool_calls=[call(0, "a", "first", "{}")]),
            delta(tool_calls=[call(0, "b", "second", "")]),
            finish("stop"),
        )
    )
    assert said == [ToolCall("a", "first", {}), ToolCall("b", "second", {})]


async def test_ids_are_unique_in_the_conversation():
    before = ToolCall("call_0", "f", {})
    context = LLMContext(
        messages=[Message("assistant", "", calls=(before,)), Message("tool", "x", call_id="call_0")]
    )
    chunks = [call(0, "call_0", "f", "{}"), call(1, None, "f", "{}")]
    said = await ask(streaming(delta(tool_calls=chunks), finish()), context)
    assert [item.id for item in said] == ["call_2", "call_3"]


@pytest.mark.parametrize("arguments", ['{"n": ', "[1]", '"x"', "null", "4512"])
async def test_arguments_that_are_no_object(arguments):
    part = delta(tool_calls=[call(0, "a", "order_status", arguments)])
    error = await failure(streaming(part, finish()))
    assert "arguments for the function 'order_status' are no JSON object" in str(error)
    assert error.retryable


# ---- failures --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "retryable", "told"),
    [
        (401, False, "refuses the key"),
        (403, False, "refuses the key"),
        (404, False, "has no model 'm'"),
        (400, False, "refuses the request (400, context_length_exceeded)"),
        (429, True, "takes no more requests"),
        (500, True, "failed (500"),
        (503, True, "failed (503"),
    ],
)
async def test_refusals(status, retryable, told):
    message = f"Incorrect API key {KEY}, you said {WORDS}"
    body = {"error": {"message": message, "code": "context_length_exceeded", "param": WORDS}}
    error = await failure(refusing(status, body, "x-request-id: req_7\r\n"), api_key=KEY)
    assert told in str(error)
    assert (error.status, error.retryable, error.request_id) == (status, retryable, "req_7")
    assert error.service == "openai/m"


async def test_a_server_that_wants_a_key():
    error = await failure(refusing(401, b"no"))
    assert "wants a key: give api_key or set OPENAI_API_KEY" in str(error)


async def test_nobody_there():
    async with serving(streaming()) as server:
        url = server.url
    llm = OpenAICompatibleLLM(base_url=url.replace("//", "//me:pass@"), model="m")
    told = f"no server answers at {url}: start llama.cpp, Ollama or vLLM there"
    for attempt in (llm.prewarm(), anext(llm.generate(CONTEXT))):
        with pytest.raises(RemoteError) as caught:
            await attempt
        assert str(caught.value) == f"openai/m: {told}"
        assert caught.value.retryable
    await llm.close()


async def test_an_error_within_the_answer():
    broken = {"error": {"message": f"{WORDS} {KEY}", "code": "overloaded"}}
    error = await failure(streaming(delta(content="Hi"), broken))
    assert "reports an error within the answer (overloaded)" in str(error)
    assert error.retryable


@pytest.mark.parametrize(
    "garbage",
    [b"data: {\n\n", b"data: 17\n\n", b"data: []\n\n", b'data: {"choices": [7]}\n\n', b"data: \xff\n\n",
     b'data: {"choices": 5}\n\n', b'data: {"choices": [{"delta": 3}]}\n\n',
     b'data: {"choices": [{"delta": {"content": {"a": 1}}}]}\n\n',
     b'data: {"choices": [{"delta": {"tool_calls": [{}]}}]}\n\n'],
)  # fmt: skip
async def test_garbage(garbage):
    error = await failure(streaming(delta(content="Hi"), garbage))
    assert "no chat completion" in str(error) or "in the middle" in str(error)


async def test_a_page_instead_of_a_stream():
    async def answer(server, writer):
        text = b"<html>Welcome</html>"
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(text), text))

    assert "the answer ended in the middle" in str(await failure(answer))


@pytest.mark.parametrize("clean", [True, False])
async def test_a_stream_that_dies_midway(clean):
    async def answer(server, writer):
        begin(writer)
        send(writer, delta(content="Hel"))
        if clean:
            writer.write(b"0\r\n\r\n")
        else:
            await writer.drain()
            writer.close()

    async with asking(answer) as (llm, _), aclosing(llm.generate(CONTEXT)) as stream:
        assert await anext(stream) == "Hel"
        with pytest.raises(RemoteError) as caught:
            await anext(stream)
    assert caught.value.retryable
    assert ("in the middle" if clean else "broke") in str(caught.value)


@pytest.mark.parametrize("after", [0, 1])
async def test_a_server_that_is_too_slow(after):
    async def answer(server, writer):
        if after:
            begin(writer)
            send(writer, delta(content="Hel"))
        await server.wait_hang_up()

    error = await failure(answer, timeout=0.2)
    assert "did not send a token within 0.2 s (timeout)" in str(error)
    assert error.retryable


async def test_prewarm_says_who_refuses():
    async with asking(refusing(401, b"{}"), api_key=KEY) as (llm, _):
        with pytest.raises(RemoteError, match="refuses the key"):
            await llm.prewarm()
    async with asking(refusing(404, b"{}")) as (llm, server):
        await llm.prewarm()
        await llm.prewarm()
        assert len(server.headers) == 1, "not every server lists its models; one look is enough"


# ---- cancellation ----------------------------------------------------------------------------


@pytest.mark.parametrize("after", ["request", "token"])
async def test_the_server_sees_a_cancelled_answer_at_once(after):
    started = asyncio.Event()

    async def answer(server, writer):
        if after == "token":
            begin(writer)
            send(writer, delta(content="Hel"))
            await writer.drain()
        started.set()
        await server.wait_hang_up()

    async with asking(answer) as (llm, server):
        await llm._ready()
        came = asyncio.Event()

        async def run():
            async with aclosing(llm.generate(CONTEXT)) as stream:
                async for _ in stream:
                    came.set()

        async with asyncio.TaskGroup() as group:
            task = group.create_task(run())
            await (came if after == "token" else started).wait()
            cancelled_at = asyncio.get_running_loop().time()
            task.cancel()
        async with asyncio.timeout(2):
            await server.hung_up.wait()
        assert server.hung_up_at - cancelled_at < 0.05


async def test_the_server_sees_a_closed_answer_at_once():
    async def answer(server, writer):
        begin(writer)
        send(writer, delta(content="Hel"))
        await server.wait_hang_up()

    async with asking(answer) as (llm, server):
        stream = llm.generate(CONTEXT)
        assert await anext(stream) == "Hel"
        closed_at = asyncio.get_running_loop().time()
        await stream.aclose()
        async with asyncio.timeout(2):
            await server.hung_up.wait()
        assert server.hung_up_at - closed_at < 0.05
        assert not llm._client.is_closed()


async def test_it_may_be_used_again_after_it_was_closed():
    async with asking(streaming(delta(content="Hi"), finish())) as (llm, _):
        for _ in range(2):
            async with aclosing(llm.generate(CONTEXT)) as stream:
                assert [item async for item in stream] == ["Hi"]
            await llm.close()


# ---- the conversation ------------------------------------------------------------------------


def test_two_turns_in_a_row_are_joined():
    context = LLMContext(
        messages=[
            Message("user", "I would like"),
            Message("user", "a bike."),
            Message("assistant", "Sure,"),
            Message("assistant", "which one?"),
            Message("user", "Blue."),
        ]
    )
    assert messages_of(context) == [
        {"role": "user", "content": "I would like a bike."},
        {"role": "assistant", "content": "Sure, which one?"},
        {"role": "user", "content": "Blue."},
    ]


def test_results_stand_behind_their_calls():
    one, two, lost = (ToolCall(id, "f", {"id": id}) for id in "abc")
    context = LLMContext(
        "Be brief.",
        messages=[
            Message("user", "Hi"),
            Message("assistant", "A moment.", calls=(one, lost)),
            Message("assistant", "", calls=(two,)),
            Message("tool", "two", call_id="b"),
            Message("tool", "one", call_id="a"),
            Message("tool", "nobody asked", call_id="z"),
            Message("assistant", "", calls=(lost,)),
            Message("assistant", "Done.", interrupted=True),
        ],
    )

    def written(id):
        function = {"name": "f", "arguments": json.dumps({"id": id})}
        return {"id": id, "type": "function", "function": function}

    assert messages_of(context) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "A moment.", "tool_calls": [written("a")]},
        {"role": "tool", "tool_call_id": "a", "content": "one"},
        {"role": "assistant", "content": None, "tool_calls": [written("b")]},
        {"role": "tool", "tool_call_id": "b", "content": "two"},
        {"role": "assistant", "content": "Done."},
    ]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"model": "m"}, "needs the option 'base_url'"),
        ({"base_url": "http://x", "modell": "m"}, "did you mean 'model'"),
        ({"base_url": "localhost:80", "model": "m"}, "must be like 'http://127"),
        ({"base_url": "http://", "model": "m"}, "must be like 'http://127"),
        ({"base_url": "http://x", "model": ""}, "must be the name of a model"),
        ({"base_url": "http://x", "model": "m", "temperature": 3}, "temperature=3"),
        ({"base_url": "http://x", "model": "m", "timeout": 5000}, "write 5"),
        ({"base_url": "http://x", "model": "m", "max_tokens": 0}, "max_tokens=0"),
    ],
)
def test_options(options, told):
    with pytest.raises(OptionError, match=told):
        OpenAICompatibleLLM(**options)
