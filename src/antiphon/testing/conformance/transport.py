"""What every transport must do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from antiphon.audio.formats import AudioFormat
from antiphon.frames import PlaybackEnded, PlaybackStarted, SpeechAudio, TurnCommitted
from antiphon.testing.conformance.transport_session import FarSide, Session, Transport
from antiphon.testing.sound import tone

__all__ = ["TransportConformance"]

_MOST_AHEAD = 0.2
"""Seconds that sound may come before it is to be heard."""


class TransportConformance:
    """Suite for transports: say how one is connected.

    Attributes:
        patience: Seconds that anything may take before the test fails.
        slack: Seconds by which times may be off, for a wire that is not in virtual time.
        hangs_up: Whether the far side can leave.
    """

    patience: float = 10.0
    slack: float = 0.001
    hangs_up: bool = True

    def connect(self, speech: bytes) -> AbstractAsyncContextManager[tuple[Transport, FarSide]]:
        """Connect a new transport whose far side speaks.

        Args:
            speech: What the person says from the start of the pipeline on, in real time: mono
                s16le at `user_rate`. Then they are silent or send nothing, for 10 s at least.
        """
        raise NotImplementedError("say how the transport is connected")

    user_rate: int = 16_000

    @asynccontextmanager
    async def _session(self, speech: bytes | None = None) -> AsyncIterator[Session]:
        before = asyncio.all_tasks()
        if speech is None:
            speech = bytes(AudioFormat(self.user_rate).n_bytes(0.1))
        async with self.connect(speech) as (transport, far):
            session = Session(transport, far, self.patience)
            async with asyncio.TaskGroup() as group:
                group.create_task(session.run())
                await session.wait(lambda: session.probe.heard, "the first sound of the person")
                yield session
                session.task.cancel()
        left = asyncio.all_tasks() - before
        assert not left, f"tasks are left alive: {left}"

    async def test_sound_comes_in_whole_and_in_order(self) -> None:
        """In the format that was told, each packet with its place in the stream."""
        speech = tone(AudioFormat(self.user_rate), 0.5)
        async with self._session(speech) as session:
            heard = session.probe.heard

            def pcm() -> bytes:
                return b"".join(frame.pcm for frame in heard)

            await session.wait(lambda: len(pcm()) >= len(speech), "the person's sound")
            assert pcm()[: len(speech)] == speech, "what was heard is not what was said"
            assert {frame.format for frame in heard} == {session.user_format}
            position = 0
            for frame in heard:
                assert frame.at_sample == position, (
                    f"sample {position} is told as {frame.at_sample}"
                )
                position += session.user_format.samples(len(frame.pcm))

    async def test_what_is_not_committed_never_leaves(self) -> None:
        """The gate: sound waits however long, then leaves whole."""
        async with self._session() as session:
            pcm = session.sound(0.3)
            scope = session.reply(1, pcm)
            await asyncio.sleep(0.5)
            assert not session.packets, "sound left before the reply was committed"
            scope.commit()
            await session.wait_played(1)
            assert session.sound_out == pcm, "what was heard is not what was made"

    async def test_what_was_closed_is_never_heard(self) -> None:
        """Neither what waited at the gate nor what comes late."""
        async with self._session() as session:
            session.reply(1, session.sound(0.3)).close()
            session.probe.push(SpeechAudio(1, session.sound(0.3), session.format, 0))
            pcm = session.sound(0.2, level=0.1)
            session.reply(2, pcm).commit()
            await session.wait_played(2)
            assert session.sound_out == pcm, "sound of a closed reply was heard"

    async def test_replies_are_heard_one_after_the_other(self) -> None:
        """In the order of their numbers; start and end of each are told."""
        async with self._session() as session:
            first, second = session.sound(0.3), session.sound(0.2, level=0.1)
            scopes = [session.reply(1, first), session.reply(2, second)]
            for scope in reversed(scopes):
                scope.commit()
            await session.wait_played(2)
            assert session.sound_out == first + second, "replies were mixed"
            times = [
                session.probe.times_of(kind, reply)
                for reply in (1, 2)
                for kind in (PlaybackStarted, PlaybackEnded)
            ]
            assert [len(found) for found in times] == [1, 1, 1, 1], f"told: {session.probe.told}"
            assert times == sorted(times), f"told out of order: {times}"

    async def test_sound_leaves_at_the_pace_of_the_ear(self) -> None:
        """Never more than 200 ms early, and the end is told when it was heard."""
        async with self._session() as session:
            session.reply(1, session.sound(1.0)).commit()
            await session.wait_played(1)
            began, sent = session.packets[0][0], 0.0
            for at, pcm in session.packets:
                sent += session.format.seconds(len(pcm))
                ahead = sent - (at - began)
                assert ahead <= _MOST_AHEAD + self.slack, f"sound came {ahead:.3f} s early"
            (ended,) = session.probe.times_of(PlaybackEnded, 1)
            assert ended - began >= 1.0 - 0.05 - self.slack, "told as heard before it was"

    async def test_an_interruption_is_heard_at_once(self) -> None:
        """The far side is told to drop what it has not played; the account is cut there."""
        async with self._session() as session:
            scope = session.reply(1, session.sound(3.0), ends=False)
            scope.commit()
            await session.wait(lambda: session.packets, "the first sound")
            await asyncio.sleep(0.5)
            scope.close()
            played = scope.ledger.played / session.format.sample_rate
            assert abs(played - 0.5) <= 0.05 + self.slack, f"played {played:.3f} s of 0.5"

            def clears() -> list[int]:
                sent = [message for _, message in session.far.messages]
                return [
                    at
                    for at, message in enumerate(sent)
                    if not isinstance(message, bytes) and message["type"] == "clear"
                ]

            await session.wait(clears, "the clear")
            session.probe.push(SpeechAudio(1, session.sound(0.3), session.format, 0))
            await asyncio.sleep(0.3)
            after = [message for _, message in session.far.messages[clears()[0] :]]
            assert not [m for m in after if isinstance(m, bytes)], "sound came after the clear"
            assert len(clears()) == 1, "one interruption is one clear"

    async def test_events_come_in_order(self) -> None:
        """What the person is told keeps its order."""
        async with self._session() as session:
            for turn in range(1, 6):
                session.probe.push(TurnCommitted(f"turn {turn}", turn))

            def turns() -> list[str]:
                events = [m for _, m in session.far.messages if not isinstance(m, bytes)]
                return [event["text"] for event in events if event["type"] == "transcript"]

            await session.wait(lambda: len(turns()) == 5, "the transcripts")
            assert turns() == [f"turn {turn}" for turn in range(1, 6)], f"order: {turns()}"

    async def test_the_end_lets_the_reply_finish(self) -> None:
        """`End` follows what was begun: all of it is heard, then the pipeline ends."""
        async with self._session() as session:
            pcm = session.sound(0.6)
            session.reply(1, pcm).commit()
            session.task.end()
            await self._ended(session.ended.wait())
            assert session.task.outcome == "ended", f"outcome: {session.task.outcome}"
            assert session.sound_out == pcm, "the reply was cut off"

    async def test_a_cancellation_ends_it_now(self) -> None:
        """While sound leaves: nothing hangs."""
        async with self._session() as session:
            session.reply(1, session.sound(3.0)).commit()
            await session.wait(lambda: session.packets, "the first sound")
            session.task.cancel()
            await self._ended(session.ended.wait(), within=1.0)
            assert session.task.outcome == "cancelled", f"outcome: {session.task.outcome}"

    async def test_it_ends_when_the_far_side_hangs_up(self) -> None:
        """While sound leaves: the pipeline ends, and what was heard stays in the account."""
        if not self.hangs_up:
            return
        async with self._session() as session:
            scope = session.reply(1, session.sound(3.0))
            scope.commit()
            await session.wait(lambda: session.packets, "the first sound")
            await asyncio.sleep(0.5)
            await session.far.hang_up()
            await self._ended(session.ended.wait(), within=1.0 + self.slack)
            assert session.task.outcome in ("cancelled", "ended"), session.task.outcome
            played = scope.ledger.played / session.format.sample_rate
            assert abs(played - 0.5) <= 0.05 + self.slack, f"played {played:.3f} s of 0.5"

    async def _ended(self, ending: Awaitable[object], *, within: float | None = None) -> None:
        seconds = self.patience if within is None else within
        try:
            async with asyncio.timeout(seconds):
                await ending
        except TimeoutError:
            raise AssertionError(f"the pipeline did not end within {seconds:g} s") from None
