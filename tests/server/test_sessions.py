from __future__ import annotations

import asyncio
from itertools import count

import pytest

from antiphon.errors import TransportError
from antiphon.server.sessions import Full, Session, Sessions


class Line:
    def __init__(self) -> None:
        self.endings: list[TransportError] = []

    def hang_up(self, ending: TransportError) -> None:
        self.endings.append(ending)


def make(limit: int = 2) -> Sessions:
    numbers = count(1)
    return Sessions(limit, lambda: f"s{next(numbers)}")


async def hold(sessions: Sessions, seconds: float, line: Line | None = None) -> None:
    with sessions.open() as session:
        if line is not None:
            session.begin(line)
        await asyncio.sleep(seconds)


async def test_a_session_is_known_while_it_lasts():
    sessions = make()
    await asyncio.sleep(3.0)
    with sessions.open() as session:
        assert [*sessions] == [session]
        assert (session.id, session.started_at, session.state) == ("s1", 3.0, "starting")
        session.begin(Line())
        assert session.state == "live"
    assert len(sessions) == 0


async def test_sessions_end_in_any_order():
    sessions = make()
    async with asyncio.TaskGroup() as group:
        group.create_task(hold(sessions, 2.0))
        group.create_task(hold(sessions, 1.0))
        await asyncio.sleep(1.5)
        assert [session.id for session in sessions] == ["s1"]


async def test_one_too_many_is_refused_and_room_is_made_by_an_error_too():
    sessions = make(1)

    def fail() -> None:
        with sessions.open():
            with pytest.raises(Full, match="all 1 sessions are taken"), sessions.open():
                pytest.fail("it was let in")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with sessions.open() as session:
        assert session.id == "s2"


async def test_a_session_told_to_end_before_its_line_is_there_ends_when_it_is():
    session = Session("s", 0.0)
    ending = TransportError("shutdown", "bye")
    session.end(ending)
    line = Line()
    session.begin(line)
    assert line.endings == [ending]
    assert session.state == "ending"


async def test_drain_lets_nobody_in():
    sessions = make()
    assert await sessions.drain(60.0) == ()
    assert asyncio.get_running_loop().time() == 0.0
    with pytest.raises(Full, match="shutting down"), sessions.open():
        pytest.fail("it was let in")


async def test_drain_waits_for_those_who_end_by_themselves():
    sessions, line = make(), Line()
    await hold(sessions, 0.0)  # that there were none for a while says nothing of now
    async with asyncio.TaskGroup() as group:
        group.create_task(hold(sessions, 5.0, line))
        group.create_task(hold(sessions, 7.0, line))
        await asyncio.sleep(1.0)
        assert await sessions.drain(60.0) == ()
        assert asyncio.get_running_loop().time() == 7.0
    assert line.endings == []


async def test_drain_tells_the_others_to_end_and_names_those_that_do_not():
    sessions, line = make(), Line()
    async with asyncio.TaskGroup() as group:
        group.create_task(hold(sessions, 100.0, line))
        await asyncio.sleep(1.0)
        assert await sessions.drain(3.0) == ("s1",)
        assert asyncio.get_running_loop().time() == 12.0
        [session] = sessions
        assert session.state == "ending"
    [ending] = line.endings
    assert (ending.reason, ending.close_code) == ("shutdown", 1001)


async def test_hurry_cuts_the_wait_short():
    sessions, line = make(), Line()
    async with asyncio.TaskGroup() as group:
        group.create_task(hold(sessions, 5.0, line))
        await asyncio.sleep(1.0)
        asyncio.get_running_loop().call_later(1.0, sessions.hurry)
        assert await sessions.drain(60.0) == ()
    assert len(line.endings) == 1
