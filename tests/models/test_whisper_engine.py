"""Reading one stretch of sound: what is believed, what is cut, and what need not be computed again."""

from __future__ import annotations

import numpy as np
import pytest

from antiphon.models.store import Store
from antiphon.models.whisper_engine import (
    WhisperEngine,
    _extend,
    _text,
    first_sample,
    settled_frames,
    without_loop,
    without_repeats,
)
from support.spelling import overlap
from support.spoken import RATE, floats, noise, said, silence

PROMPT = ("<|startoftranscript|>", "<|notimestamps|>")


@pytest.fixture(scope="module")
def engine():
    return WhisperEngine(Store().directory("whisper-tiny.en"), threads=1)


def read(engine, pcm):
    return engine.read(settled_frames(), pcm, PROMPT).text


@pytest.mark.parametrize(
    "text",
    [
        "What time do you open on Saturday?",
        "How much does it cost to repair a flat tire?",
        "My order number is four five one two.",
        "That would be great, thank you so much for your help today.",
        "Can I rent an electric bike for tomorrow afternoon?",
    ],
)
def test_sentences_are_understood(engine, text):
    heard = read(engine, silence(0.3) + said(text) + silence(0.1))
    assert overlap(heard.replace("4512", "four five one two"), text) >= 0.85


@pytest.mark.parametrize("text", ["Yes.", "No.", "Hi.", "Two.", "Okay.", "Stop.", "Sure."])
def test_one_word_is_enough(engine, text):
    assert read(engine, silence(0.3) + said(text) + silence(0.1))


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.5, 1, 2, 4, 8, 20])
@pytest.mark.parametrize("level", [0.0, 0.0003, 0.003, 0.02, 0.1])
def test_nothing_is_invented(engine, seconds, level):
    """Silence and noise, which Whisper alone reads as "you" or as a sentence about cooking."""
    assert read(engine, noise(seconds, level)) == ""


@pytest.mark.parametrize("hertz", [50, 440])
def test_a_hum_says_nothing(engine, hertz):
    from antiphon.audio import to_pcm

    for seconds in (1, 4, 8):
        time = np.arange(seconds * RATE) / RATE
        assert read(engine, to_pcm(np.sin(2 * np.pi * hertz * time) * 0.1)) == ""


def test_a_long_stretch_is_read_to_its_end(engine):
    text = " ".join(
        f"The {what} bicycle costs {much} dollars a day, and the helmet is free with every rental."
        for what, much in (("red", "ten"), ("blue", "twenty"), ("green", "thirty"), ("old", "five"))
    )
    pcm = said(text)
    assert 15 < len(pcm) / 2 / RATE < 28
    assert overlap(read(engine, pcm), text) > 0.85


def test_what_was_computed_once_is_not_needed_again(engine):
    pcm = said("How much does it cost to repair a flat tire?")
    whole = engine.read(settled_frames(), pcm, PROMPT)
    known = settled_frames()
    for end in (3000, 3100, 20_000, 20_001, 32_000, len(pcm) // 2):
        rest = pcm[2 * first_sample(known) : 2 * end]
        reading = engine.read(known, rest, PROMPT)
        known = settled_frames(reading.energies, end)
    assert reading.text == whole.text
    np.testing.assert_allclose(known, whole.energies, atol=1e-4)
    assert len(rest) < len(pcm) / 2


@pytest.mark.parametrize("length", [0, 1, 199, 200, 201, 359, 360, 361, 520, 4000])
def test_frames_in_parts_are_the_frames_of_the_whole(length):
    samples = floats(noise(0.5, 0.1))
    part, _ = _extend(settled_frames(), samples[:length])
    known = settled_frames(part, length)
    settled, energies = _extend(known, samples[first_sample(known) :])
    expected_settled, expected = _extend(settled_frames(), samples)
    np.testing.assert_allclose(energies, expected, atol=1e-4)
    assert settled.shape == expected_settled.shape


def test_frames_of_a_shorter_stretch_are_those_within_it():
    samples = floats(noise(0.5, 0.1))
    settled, _ = _extend(settled_frames(), samples)
    short, _ = _extend(settled_frames(), samples[:4000])
    np.testing.assert_allclose(settled_frames(settled, 4000), short, atol=1e-5)


def test_interims_share_one_place(engine):
    pcm = said("Stop.")
    assert not engine.is_busy
    assert engine.read_interim(settled_frames(), pcm, PROMPT).text == "Stop."
    with engine._interim:
        assert engine.is_busy
        assert engine.read_interim(settled_frames(), pcm, PROMPT) is None
        assert engine.read(settled_frames(), pcm, PROMPT).text == "Stop."
    assert not engine.is_busy


@pytest.mark.parametrize(
    ("tokens", "kept"),
    [
        ("a b c d e f g", "a b c d e f g"),
        ("o o o o o o o o o", "o"),
        ("a b a b a b a b", "a b"),
        ("x y a b a b a b a b", "x y a b"),
        # The cap often falls in the middle of the second round.
        (
            "all circuits are busy right now . all circuits are busy right now",
            "all circuits are busy right now .",
        ),
        ("one two three one two three", "one two three one two three"),
        ("", ""),
    ],
)
def test_loops_are_cut_after_their_first_round(tokens, kept):
    assert without_loop(tokens.split()) == kept.split()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Make me a latte. Make me a latte.", "Make me a latte."),
        ("Hello there! Hello there! Hello there! Bye.", "Hello there! Bye."),
        ("Five. Five. Five.", "Five. Five. Five."),
        ("I said no. You said yes. I said no.", "I said no. You said yes. I said no."),
    ],
)
def test_a_sentence_that_is_repeated_at_once_is_kept_once(text, kept):
    assert without_repeats(text) == kept


def test_tokens_spell_bytes():
    assert (
        _text(["<|startoftranscript|>", "ĠHello", ",", "ĠcafÃ©", "<|endoftext|>"]) == "Hello, café"
    )
    # The second byte of the last letter was cut off by the cap.
    assert _text(["ĠcafÃ"]) == "caf"
