from __future__ import annotations

import asyncio
import logging
import re

import pytest
from starlette.requests import Request

from antiphon.errors import ModelError
from antiphon.pipeline import PipelineParams
from antiphon.server import ServerOptions, create_app
from support.asgi import HOST, Client, Flock, serving, until

TOKEN = "a-token-of-twenty-two"


async def get(app, path: str, host: str = HOST) -> tuple[int, dict[str, str], bytes]:
    sent = []

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", host.encode())],
    }
    await app(scope, Request(scope).receive, send)
    headers = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
    return sent[0]["status"], headers, sent[1]["body"]


# ---- pages and health ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/", "text/html"),
        ("/page.css", "text/css"),
        ("/page.js", "text/javascript"),
        ("/sound.js", "text/javascript"),
        ("/microphone.js", "text/javascript"),
    ],
)
async def test_the_page_and_its_parts(path: str, media_type: str):
    status, headers, body = await get(create_app(Flock()), path)
    assert status == 200
    assert headers["content-type"].startswith(media_type)
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert b"://" not in body.replace(b"http://www.w3.org/2000/svg", b"")  # no outside resource


async def test_the_page_is_not_for_names_that_point_here():
    status, _, body = await get(create_app(Flock()), "/", host="evil.test")
    assert status == 403
    assert b"allowed_origins" in body


async def test_health_is_there_before_the_models_are():
    gate = asyncio.Event()
    app = create_app(Flock(), prewarm=gate.wait)
    async with serving(app):
        await asyncio.sleep(0.1)
        assert (await get(app, "/healthz"))[0] == 200
        status, headers, body = await get(app, "/readyz")
        assert (status, headers["retry-after"]) == (503, "5")
        assert b"loading" in body
        gate.set()
        await asyncio.sleep(0.1)
        assert (await get(app, "/readyz"))[0] == 200


async def test_models_that_cannot_be_loaded_are_told(caplog: pytest.LogCaptureFixture):
    async def prewarm() -> None:
        raise ModelError("whisper/tiny.en", "run `antiphon models pull`")

    app = create_app(Flock(), prewarm=prewarm)
    async with serving(app) as group:
        await asyncio.sleep(0.1)
        assert (await get(app, "/readyz"))[0] == 503
        assert isinstance(app.state.readiness.problem, ModelError)
        group.create_task((client := Client(app)).run())
        await asyncio.sleep(0.1)
        assert (client.status, client.refusal["code"]) == (503, "not-ready")
    assert "antiphon models pull" in caplog.text


async def test_a_server_that_stops_while_models_load_does_not_wait_for_them():
    async with serving(create_app(Flock(), prewarm=asyncio.Event().wait)):
        await asyncio.sleep(0.1)


# ---- sessions --------------------------------------------------------------------------------


async def test_a_conversation():
    app = create_app(flock := Flock(greeting="hello"))
    async with serving(app) as group:
        group.create_task((client := Client(app)).run())
        client.say({"type": "start", "sample_rate": 8_000, "agent_sample_rate": 24_000})
        await until(2.0)
        client.say({"type": "text", "text": "one two"})
        await until(4.0)
        client.say({"type": "end"})
        await until(5.0)
        assert client.sent[0][1]["type"] == "websocket.accept"
        assert client.close == (4.0, 1000, "end")
        assert len(client.sound) == 75
        assert {len(pcm) for pcm in client.sound} == {960}
        [parrot], [task] = flock.parrots, flock.tasks
        assert parrot.heard == ["hello", "one two"]
        assert task.params.audio_in_sample_rate == 8_000
        assert task.params.audio_out_sample_rate == 24_000
        started = client.events[0]
        assert started["type"] == "started"
        assert len(started["session"]) == 12


async def test_params_are_the_callers_but_for_the_rates():
    params = PipelineParams(enable_usage_metrics=True, audio_in_sample_rate=48_000)
    app = create_app(flock := Flock(), params=params)
    async with serving(app) as group:
        group.create_task((client := Client(app)).run())
        client.say(b"")
        await until(0.1)
        client.leave()
    assert flock.tasks[0].params == PipelineParams(enable_usage_metrics=True)


async def test_sessions_are_counted_and_the_next_one_is_told_when_to_come_again():
    app = create_app(Flock(), ServerOptions(max_sessions=2))
    async with serving(app) as group:
        clients = [Client(app) for _ in range(3)]
        for client in clients:
            group.create_task(client.run())
        await until(1.0)
        first, second, third = clients
        assert len(app.state.sessions) == 2
        assert third.status == 503
        assert third.refusal["code"] == "full"
        assert "all 2 sessions are taken" in third.refusal["message"]
        assert third.headers["retry-after"] == "5"
        assert third.over_at == 0.0
        first.leave()
        await until(2.0)
        group.create_task((fourth := Client(app)).run())
        await until(3.0)
        assert fourth.status is None
        assert len(app.state.sessions) == 2
        second.leave()
        fourth.leave()
    assert len(app.state.sessions) == 0


@pytest.mark.parametrize(
    ("headers", "query", "status", "code"),
    [
        ({"origin": "http://evil.test"}, "", 403, "origin"),
        ({"host": "evil.test", "origin": "http://evil.test"}, "", 403, "host"),
        ({}, "", 401, "token"),
        ({}, "token=wrong", 401, "token"),
        ({"authorization": "Bearer"}, "", 401, "token"),
    ],
)
async def test_who_is_not_let_in(headers: dict[str, str], query: str, status: int, code: str):
    app = create_app(flock := Flock(), ServerOptions(token=TOKEN))
    async with serving(app) as group:
        group.create_task((client := Client(app, query=query, **headers)).run())
        await until(0.1)
        assert (client.status, client.refusal["code"]) == (status, code)
    assert flock.tasks == []


async def test_who_is_let_in():
    app = create_app(flock := Flock(), ServerOptions(token=TOKEN))
    async with serving(app) as group:
        page = Client(app, query=f"token={TOKEN}", origin=f"http://{HOST}")
        program = Client(app, authorization=f"Bearer {TOKEN}")
        for client in (page, program):
            group.create_task(client.run())
        await until(1.0)
        assert len(flock.tasks) == 2
        page.leave()
        program.leave()


async def test_drained_sessions_are_told_and_closed():
    app = create_app(flock := Flock(greeting="one two three"))
    async with serving(app) as group:
        group.create_task((live := Client(app)).run())
        await until(1.2)
        group.create_task((starting := Client(app)).run())
        await until(1.3)
        assert await app.state.sessions.drain(0.0) == ()
        assert live.close == (1.3, 1001, "shutdown")
        assert live.events[-1]["type"] == "error"
        assert live.events[-1]["code"] == "shutdown"
        # What was heard until then is in the context.
        assert flock.parrots[0].heard == ["one two"]
        assert starting.close is not None
        assert starting.close[1:] == (1001, "shutdown")
        group.create_task((late := Client(app)).run())
        await until(5.0)
        assert (late.status, late.refusal["code"]) == (503, "full")
        assert b"shutting down" in (await get(app, "/readyz"))[2]


# ---- what goes wrong inside ------------------------------------------------------------------


async def test_a_stage_that_fails_ends_its_session_and_no_other(caplog: pytest.LogCaptureFixture):
    app = create_app(flock := Flock())
    async with serving(app) as group:
        bad, good = Client(app), Client(app)
        for client in (bad, good):
            group.create_task(client.run())
            client.say(b"")
        await until(0.1)
        bad.say({"type": "text", "text": "raise"})
        await until(0.2)
        assert bad.close == (0.1, 1011, "internal-error")
        good.say({"type": "text", "text": "one"})
        await until(1.0)
        assert flock.parrots[1].heard == ["one"]
        good.leave()
    # The log names the stage, the type and the line; the text of a stranger's error may hold words.
    assert "Parrot" in caplog.text
    assert "RuntimeError" in caplog.text
    assert "raise RuntimeError" in caplog.text
    assert [record.levelname for record in caplog.records].count("ERROR") == 1


async def test_a_factory_that_fails_closes_the_socket(caplog: pytest.LogCaptureFixture):
    def factory(*_: object) -> None:
        raise ValueError(" ".join(("my", "words")))

    app = create_app(factory)  # type: ignore[arg-type]
    async with serving(app) as group:
        group.create_task((client := Client(app)).run())
        await until(1.0)
        assert client.close == (0.5, 1011, "internal-error")
        assert client.over_at == 0.5
    assert "ValueError" in caplog.text
    assert "my words" not in caplog.text


async def test_neither_words_nor_secrets_are_logged(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    app = create_app(Flock(), ServerOptions(token=TOKEN))
    async with serving(app) as group:
        client = Client(app, query=f"token={TOKEN}")
        group.create_task(client.run())
        client.say({"type": "text", "text": "my number is 555"})
        client.say('{"garbage of mine')
        await until(1.0)
        client.leave()
    assert "has ended: gone" in caplog.text
    for secret in (TOKEN, "555", "garbage of mine"):
        assert secret not in caplog.text


async def test_the_parts_of_the_page_fit_together():
    app = create_app(Flock())
    pages = {path: (await get(app, path))[2].decode() for path in ("/", "/page.js", "/sound.js")}
    ids = set(re.findall(r'id="(\w+)"', pages["/"]))
    assert set(re.findall(r'find\("(\w+)"\)', pages["/page.js"])) <= ids
    parts = re.findall(r'(?:src|href)="([\w.]+)"', pages["/"])
    parts += re.findall(r'"(?:\./)?([\w]+\.js)"', pages["/page.js"] + pages["/sound.js"])
    assert sorted(parts) == ["microphone.js", "page.css", "page.js", "sound.js"]
    assert "style=" not in pages["/"]  # the policy would not let it through
