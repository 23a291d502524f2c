"""What each event does: one function for each meaning, from state to state and orders.

Which function answers which event in which phase stands in `antiphon.turns.machine`. Functions are
pure: time is an argument.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TypeAlias

from antiphon.frames import Transcript, TurnScored, TypedText, VoiceStarted, VoiceStopped
from antiphon.turns.endpointing import TurnOptions, graded_wait
from antiphon.turns.events import Event, SayRequested
from antiphon.turns.orders import (
    AskCompleteness,
    CancelReply,
    CommitReply,
    CommitTurn,
    FinishReply,
    Order,
    ReportStuck,
    StartReply,
    StopReply,
    WithdrawTurn,
)
from antiphon.turns.state import Phase, Segment, TurnState, joined

__all__ = ["Move"]

Move: TypeAlias = tuple[TurnState, tuple[Order, ...]]

_REMEMBERED = 16
"""Answered segments whose words are known if they come again; services revise one or two."""


# ---- voice ------------------------------------------------------------------------------------


def hear(state: TurnState, event: Event, now: float, options: TurnOptions) -> Move:
    """The person speaks: it is their turn."""
    assert isinstance(event, VoiceStarted)
    heard = replace(_voice(state, event, now), phase=Phase.HEARING)
    return replace(heard, deadline=heard.voice_since + options.max_user_turn), ()


def pause(state: TurnState, event: Event, now: float, options: TurnOptions) -> Move:
    """The person paused: ask whether the turn is over, and wait accordingly."""
    assert isinstance(event, VoiceStopped)
    return _settle(state, now - event.silence, now, options)


def resume_unheard(state: TurnState, event: Event, now: float, options: TurnOptions) -> Move:
    """The person goes on before anything of the reply was heard: it is dropped, words are kept."""
    withdrawn, orders = _withdraw(state)
    heard, _ = hear(withdrawn, event, now, options)
    return heard, orders


def speak_over(state: TurnState, event: Event, now: float, options: TurnOptions) -> Move:
    """The person speaks over the agent: so much voice more, and the agent stops."""
    assert isinstance(event, VoiceStarted)
    over = _voice(state, event, now)
    if not options.allow_interruptions:
        return over, ()
    over = replace(over, deadline=over.voice_since + options.barge_in_voice)
    return over, ()


def quiet_over(state: TurnState, event: Event, now: float, options: TurnOptions) -> Move:
    """The person's voice over the agent ended before it was an interruption."""
    assert isinstance(event, VoiceStopped)
    quiet = replace(state, voice_on=False, quiet_since=now - event.silence, deadline=None)
    return quiet, ()


def quiet_unheard(state: TurnState, event: Event, now: float, options: TurnOptions) -> Move:
    """A voice that went on past its committed turn has ended."""
    assert isinstance(event, VoiceStopped)
    return replace(state, voice_on=False, quiet_since=now - event.silence), ()


def still_quiet(state: TurnState, event: Event, now: float, options: TurnOptions) -> Move:
    """An edge that changes nothing, such as a stop without a start."""
    return state, ()


# ---- words ------------------------------------------------------------------------------------


def words(state: TurnState, event: Event, now: float, options: TurnOptions) -> Move:
    """Words of the turn under way; a pause waits for them, and as long as they deserve."""
    assert isinstance(event, Transcript)
    new = _take_words(state, event)
    if new.phase is Phase.SETTLING:
        new = replace(new, deadline=_settled_at(new, options))
    return new, ()


def late_words(state: TurnState, event: Event, now: float, options: TurnOptions) -> Move:
    """Words without a voice before them, or after it was given up: they open a turn."""
    assert isinstance(event, Transcript)
    new = _take_words(state, event)
    if new.pending == state.pending:
        return replace(new, words_due=state.words_due and not event.final), ()
    return _settle(new, now, now, options)


def words_unheard(state: TurnState, event: Event, now: float, options: TurnOptions) -> Move:
    """More final words before anything of the reply was heard: it is made again for all of them."""
    assert isinstance(event, Transcript)
    if not event.final:
        return _take_words(state, event), ()
    if _same(_answered(state, event.segment), event.text) or not event.text.strip():
        return replace(state, words_due=state.voice_on), ()
    withdrawn, orders = _withdraw(state)
    new = _take_words(withdrawn, event)
    if new.voice_on:
        return replace(new, phase=Phase.HEARING, deadline=now + options.max_user_turn), orders
    new = replace(new, phase=Phase.SETTLING, quiet_since=min(new.quiet_since, now))
    return replace(new, deadline=_settled_at(new, options)), orders


def words_over(state: TurnState, event: Event, now: float, options: TurnOptions) -> Move:
    """Words while the agent speaks: kept, and answered after it."""
    assert isinstance(event, Transcript)
    return _take_words(state, event), ()


def typed(state: TurnState, event: Event, now: float, options: TurnOptions) -> Move:
    """The person wrote: a complete turn, together with what they said and was not answered."""
    assert isinstance(event, TypedText)
    if not event.text.strip():
        return state, ()
    orders: tuple[Order, ...] = ()
    if state.phase is Phase.SPEAKING:
        if not options.allow_interruptions:
            return _with_typed(state, event), ()
        orders = (StopReply(state.reply),)
    elif state.phase is Phase.THINKING:
        state, orders = _withdraw(state)
    committed, more = _commit(_with_typed(state, event), now, options)
    return committed, orders + more


def scored(state: TurnState, event: Event, now: float, options: TurnOptions) -> Move:
    """A turn detector's answer to this pause bends the wait; one to an older pause is stale."""
    assert isinstance(event, TurnScored)
    if event.pause != state.pause:
        return state, ()
    new = replace(state, judged=True, probability=event.probability)
    if new.phase is Phase.SETTLING:
        new = replace(new, deadline=_settled_at(new, options))
    return new, ()


# ---- the agent --------------------------------------------------------------------------------


def say(state: TurnState, event: Event, now: float, options: TurnOptions) -> Move:
    """The agent shall say a text: now if the floor is free, else when it is."""
    assert isinstance(event, SayRequested)
    if not event.text.strip():
        return state, ()
    new = replace(state, script=(*state.script, event))
    return _rest(new, now, options) if new.phase is Phase.LISTENING else (new, ())


def heard_first(state: TurnState, event: Event, now: float, options: TurnOptions) -> Move:
    """The first sound of the reply is out: it is heard from now on."""
    return replace(state, phase=Phase.SPEAKING, deadline=None), ()


def finished(state: TurnState, event: Event, now: float, options: TurnOptions) -> Move:
    """The reply is over, played or failed: the floor goes to whoever waits for it."""
    rested, orders = _rest(state, now, options)
    return rested, (FinishReply(state.reply), *orders)


def tool_started(state: TurnState, event: Event, now: float, options: TurnOptions) -> Move:
    """A function runs: the reply's first sound may take as long as it does."""
    deadline = None if state.phase is Phase.THINKING else state.deadline
    return replace(state, tools=True, deadline=deadline), ()


def tool_ended(state: TurnState, event: Event, now: float, options: TurnOptions) -> Move:
    """The functions are done: the first sound is due again."""
    deadline = now + options.reply_timeout if state.phase is Phase.THINKING else state.deadline
    return replace(state, tools=False, deadline=deadline), ()


def ignored(state: TurnState, event: Event, now: float, options: TurnOptions) -> Move:
    """It says nothing in this phase."""
    return state, ()


# ---- time -------------------------------------------------------------------------------------


def heard_too_long(state: TurnState, now: float, options: TurnOptions) -> Move:
    """A voice without any pause: what it said is answered; without words it is noise."""
    if state.pending:
        return _commit(state, now, options)
    return replace(state, deadline=now + options.max_user_turn), ()


def settled(state: TurnState, now: float, options: TurnOptions) -> Move:
    """The wait is over: the turn is answered, or it was no speech at all."""
    if state.pending:
        return _commit(state, now, options)
    return _rest(replace(state, words_due=False), now, options)


def thought_too_long(state: TurnState, now: float, options: TurnOptions) -> Move:
    """No sound in time: the reply is given up, and that is said."""
    rested, orders = _rest(state, now, options)
    return rested, (CancelReply(state.reply), ReportStuck(state.reply), *orders)


def barged_in(state: TurnState, now: float, options: TurnOptions) -> Move:
    """Enough voice over the agent: it stops, and hears."""
    deadline = max(state.voice_since, now) + options.max_user_turn
    return replace(state, phase=Phase.HEARING, deadline=deadline), (StopReply(state.reply),)


# ---- shared -----------------------------------------------------------------------------------


def _voice(state: TurnState, event: VoiceStarted, now: float) -> TurnState:
    return replace(state, voice_on=True, voice_since=now - event.late, words_due=True, judged=False)


def _settle(state: TurnState, quiet_since: float, now: float, options: TurnOptions) -> Move:
    new = replace(
        state,
        phase=Phase.SETTLING,
        voice_on=False,
        quiet_since=quiet_since,
        pause=state.pause + 1,
        judged=False,
    )
    return replace(new, deadline=_settled_at(new, options)), (AskCompleteness(new.pause),)


def _settled_at(state: TurnState, options: TurnOptions) -> float:
    """When the pause is long enough, as far as is known now."""
    if not state.judged:
        wait = options.max_wait
    elif state.probability is None:
        wait = options.unscored_wait
    else:
        wait = graded_wait(options, state.probability, joined(state.pending))
    if state.words_due:
        wait = max(wait, options.words_timeout)
    return state.quiet_since + wait


def _commit(state: TurnState, now: float, options: TurnOptions) -> Move:
    new = replace(
        state,
        phase=Phase.THINKING,
        deadline=now + options.reply_timeout,
        words_due=state.voice_on,
        pending=(),
        asked=state.pending,
        answered=_fold(state),
        turn=state.turn + 1,
        reply=state.reply + 1,
        script=tuple(say for say in state.script if not say.is_greeting),
        saying=None,
        tools=False,
    )
    text = joined(state.pending)
    return new, (CommitTurn(new.turn, text), StartReply(new.reply), CommitReply(new.reply))


def _withdraw(state: TurnState) -> Move:
    """Take the unheard reply back; its words wait for an answer again, or for being said."""
    orders: tuple[Order, ...] = (CancelReply(state.reply),)
    if state.saying is not None:
        script = (state.saying, *state.script)
        return replace(state, script=script, saying=None, tools=False), orders
    pending = state.asked + state.pending
    orders = (*orders, WithdrawTurn(state.turn))
    return replace(state, pending=pending, asked=(), tools=False), orders


def _rest(state: TurnState, now: float, options: TurnOptions) -> Move:
    """The agent is silent: who has the floor now?"""
    calm = replace(state, deadline=None, tools=False)
    if calm.voice_on:
        since = max(calm.voice_since, now)
        return replace(calm, phase=Phase.HEARING, deadline=since + options.max_user_turn), ()
    if calm.pending or calm.words_due:
        return _settle(calm, min(calm.quiet_since, now), now, options)
    if calm.script:
        reply = calm.reply + 1
        new = replace(
            calm,
            phase=Phase.THINKING,
            deadline=now + options.reply_timeout,
            script=calm.script[1:],
            reply=reply,
            saying=calm.script[0],
        )
        return new, (StartReply(reply, calm.script[0].text), CommitReply(reply))
    return replace(calm, phase=Phase.LISTENING), ()


def _take_words(state: TurnState, event: Transcript) -> TurnState:
    """Enter words; those of a segment replace the segment's earlier ones."""
    text = event.text.strip()
    due = state.voice_on or not event.final
    answered = _answered(state, event.segment)
    if answered:
        # The turn was answered on earlier words of this segment: only what they lack is new.
        text = _remainder(answered, text)
        if not text:
            return replace(state, words_due=due)
    kept = tuple(s for s in state.pending if s.number != event.segment or not s.number)
    if text:
        kept = tuple(
            sorted((*kept, Segment(event.segment, text)), key=lambda s: s.number or 1 << 60)
        )
    return replace(state, pending=kept, words_due=due)


def _with_typed(state: TurnState, event: TypedText) -> TurnState:
    return replace(state, pending=(*state.pending, Segment(0, event.text.strip())))


def _answered(state: TurnState, number: int) -> str:
    """All words of a segment that a reply was made for."""
    taken = (*state.answered, *state.asked)
    return " ".join(s.text for s in taken if s.number == number and number)


def _fold(state: TurnState) -> tuple[Segment, ...]:
    """The last segments that were answered before the turn that is committed now."""
    kept = [s for s in (*state.answered, *state.asked) if s.number]
    return tuple(kept[-_REMEMBERED:])


def _plain(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())


def _same(one: str, other: str) -> bool:
    return _plain(one) == _plain(other)


def _remainder(answered: str, text: str) -> str:
    """What `text` says beyond `answered`; nothing if it only corrects it."""
    before, after = _plain(answered), _plain(text)
    if after[: len(before)] != before:
        return ""
    return " ".join(text.split()[len(answered.split()) :]) if len(after) > len(before) else ""
