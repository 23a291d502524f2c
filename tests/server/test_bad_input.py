from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from antiphon.audio.formats import WIDEBAND
from antiphon.server import ServerOptions, create_app
from support.asgi import Client, Flock, serving, until
from support.parrot import tone

PACKET = tone(WIDEBAND, 0.02, level=1)


async def beside_a_witness(
    attack: Callable[[Client], Awaitable[None]],
) -> Client:
    """Run `attack` beside a session that streams sound and asks; it must be answered as ever."""
    app = create_app(flock := Flock(), ServerOptions(max_sessions=2))
    async with serving(app) as group:
        witness, villain = Client(app), Client(app)
        group.create_task(witness.run())
        witness.say(PACKET)
        await asyncio.sleep(0.01)
        mine = flock.parrots[0]
        group.create_task(villain.run())
        streaming = group.create_task(stream(witness))
        await attack(villain)
        said = len(mine.heard)
        sound = len(witness.sound)
        witness.say({"type": "text", "text": "still there?"})
        await asyncio.sleep(1.5)
        assert mine.heard[said:] == ["still there?"]
        assert len(witness.sound) - sound == 50
        assert witness.close is None
        # The villain's place is free again as soon as it is over.
        assert len(app.state.sessions) == 1 + (villain.over_at is None)
        villain.leave()
        villain.reading.set()
        streaming.cancel()
        witness.leave()
    assert len(app.state.sessions) == 0
    return villain


async def stream(client: Client) -> None:
    begins = asyncio.get_running_loop().time()
    for n in range(100_000):
        await until(begins + n * 0.02)
        client.say(PACKET)


async def test_a_socket_that_says_nothing():
    async def attack(client: Client) -> None:
        await asyncio.sleep(61.0)

    villain = await beside_a_witness(attack)
    assert villain.close == (pytest.approx(60.51), 1000, "idle")
    assert villain.events[-1]["code"] == "idle"


async def test_a_socket_that_falls_silent_in_the_middle():
    async def attack(client: Client) -> None:
        for _ in range(50):
            client.say(PACKET)
        await asyncio.sleep(61.0)

    villain = await beside_a_witness(attack)
    assert villain.close is not None
    assert villain.close[1:] == (1000, "idle")


async def test_a_minute_of_silence_that_is_sent_is_a_call():
    async def attack(client: Client) -> None:
        for n in range(3000):
            await until(0.02 * n + 1.0)
            client.say(bytes(640))

    villain = await beside_a_witness(attack)
    assert villain.close is None
    assert [event["type"] for event in villain.events] == ["started"]


async def test_odd_lengths():
    async def attack(client: Client) -> None:
        for n in range(100):
            await asyncio.sleep(0.02)
            client.say(bytes(2 * n + 1))

    villain = await beside_a_witness(attack)
    assert villain.close is None


@pytest.mark.parametrize("rate", [0, 8_001, 192_000, "8000", None, [8_000]])
async def test_wrong_rates(rate: object):
    async def attack(client: Client) -> None:
        client.say({"type": "start", "sample_rate": rate})
        await asyncio.sleep(1.0)

    villain = await beside_a_witness(attack)
    if rate is None:
        assert villain.close is None
    else:
        assert villain.close == (0.01, 1003, "unsupported-rate")


@pytest.mark.parametrize("message", [bytes(10_000_000), "x" * 10_000_000])
async def test_ten_megabytes(message: str | bytes):
    async def attack(client: Client) -> None:
        client.say(b"")
        client.say(message)
        await asyncio.sleep(1.0)

    villain = await beside_a_witness(attack)
    assert villain.close == (0.01, 1009, "message-too-big")


@settings(max_examples=30)
@given(st.lists(st.text() | st.binary(max_size=700), max_size=40))
async def test_garbage(messages: list[str | bytes]):
    async def attack(client: Client) -> None:
        for message in messages:
            client.say(message)
        await asyncio.sleep(0.2)

    villain = await beside_a_witness(attack)
    assert villain.close is None or villain.close[2] in ("bad-messages", "audio-rate")


async def test_text_nested_deeper_than_any_parser_goes():
    async def attack(client: Client) -> None:
        client.say(b"")
        client.say("[" * 60_000)
        client.say('{"type":' * 7_000)
        await asyncio.sleep(0.2)

    villain = await beside_a_witness(attack)
    assert [event.get("code") for event in villain.events] == [None, "bad-message", "bad-message"]


async def test_a_client_that_never_reads():
    async def attack(client: Client) -> None:
        client.say({"type": "text", "text": "tell me everything that you know"})
        await asyncio.sleep(0.3)
        client.reading.clear()
        await asyncio.sleep(8.0)

    villain = await beside_a_witness(attack)
    assert villain.over_at is not None
    # Five seconds for the message that was not taken, one for the farewell.
    assert villain.over_at == pytest.approx(6.31, abs=0.03)


async def test_ten_times_real_time():
    async def attack(client: Client) -> None:
        for _ in range(500):
            client.say(PACKET)
            await asyncio.sleep(0.002)

    villain = await beside_a_witness(attack)
    assert villain.close is not None
    assert villain.close[1:] == (1008, "audio-rate")
    assert villain.close[0] == pytest.approx(0.34, abs=0.02)


async def test_a_flood_of_text():
    async def attack(client: Client) -> None:
        for n in range(100):
            client.say({"type": "text", "text": f"{n}"})
        await asyncio.sleep(0.5)

    villain = await beside_a_witness(attack)
    assert villain.close is not None
    assert villain.close[1:] == (1008, "text-rate")


@pytest.mark.parametrize("when", [0.0, 0.2, 0.5, 0.6, 1.3])
async def test_a_client_that_vanishes(when: float):
    async def attack(client: Client) -> None:
        client.say({"type": "text", "text": "one two"})
        await asyncio.sleep(when)
        client.leave()
        await asyncio.sleep(0.5)

    villain = await beside_a_witness(attack)
    assert villain.over_at == pytest.approx(when + 0.01, abs=0.001)
