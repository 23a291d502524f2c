import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.turns.waterfall import TurnTimes, waterfall

OWNERS = {"stt": "whisper", "llm": "retrieval", "tts": "hibari", "turn": "smart-turn"}


def test_parts_are_named_owned_and_contiguous():
    parts = waterfall(
        TurnTimes(
            voice_ended=1.0,
            voice_stopped=1.1,
            turn_scored=1.15,
            words_final=1.2,
            committed=1.25,
            llm_first_token=1.45,
            tts_first_piece=1.5,
            tts_first_audio=1.62,
            playback_started=1.63,
        ),
        OWNERS,
    )
    assert [(p.name, p.owner, round(p.seconds, 9)) for p in parts] == [
        ("voice detection", "vad", 0.1),
        ("turn score", "smart-turn", 0.05),
        ("transcript", "whisper", 0.05),
        ("turn decision", "turn policy", 0.05),
        ("first token", "retrieval", 0.2),
        ("first clause", "retrieval", 0.05),
        ("first sound", "hibari", 0.12),
        ("output", "transport", 0.01),
    ]
    assert all(p.setting for p in parts)


def test_a_reply_that_was_not_preceded_by_a_voice_has_none():
    assert waterfall(TurnTimes(playback_started=3.0), {}) == ()


def test_the_wait_for_a_reply_that_may_not_be_interrupted_is_its_own_part():
    parts = waterfall(
        TurnTimes(
            voice_ended=1.0,
            voice_stopped=1.1,
            words_final=1.2,
            floor_free=4.0,
            turn_scored=4.1,
            committed=4.1,
            playback_started=4.5,
        ),
        OWNERS,
    )
    assert [(p.name, round(p.seconds, 9)) for p in parts] == [
        ("voice detection", 0.1),
        ("reply before", 2.9),
        ("turn score", 0.1),
        ("output", 0.4),
    ]


def test_what_was_done_early_takes_no_part():
    parts = waterfall(
        TurnTimes(voice_ended=1.0, words_final=0.5, committed=2.0, playback_started=2.5), {}
    )
    assert [p.name for p in parts] == ["turn decision", "output"]


times = st.one_of(st.none(), st.floats(0, 1000))


@given(st.builds(TurnTimes, *[times] * 10))
def test_parts_sum_to_voice_to_voice(measured):
    parts = waterfall(measured, {})
    if measured.voice_ended is None or measured.playback_started is None:
        assert parts == ()
    else:
        total = max(measured.playback_started - measured.voice_ended, 0)
        assert sum(p.seconds for p in parts) == pytest.approx(total)
        assert all(p.seconds > 0 for p in parts)
