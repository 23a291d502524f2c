import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import OptionError
from antiphon.turns.endpointing import TurnOptions, dangles, graded_wait

OPTIONS = TurnOptions()


@pytest.mark.parametrize(
    "words",
    ["I want to book a flight to", "my number is,", "so um", "What are your hours on", "and the"],
)
def test_incomplete(words):
    assert dangles(words)


@pytest.mark.parametrize("words", ["Yes.", "No.", "book me a flight to Paris", "the blue one", ""])
def test_complete(words):
    assert not dangles(words)


def test_the_two_ends():
    assert graded_wait(OPTIONS, 1.0, "Yes.") == OPTIONS.min_wait
    assert graded_wait(OPTIONS, 0.0, "Yes.") == OPTIONS.max_wait


def test_a_dangling_word_waits_although_it_sounds_complete():
    assert graded_wait(OPTIONS, 0.98, "I want to go to") > 0.9


@given(st.floats(0, 1), st.floats(0, 1), st.sampled_from(["yes", "to", ""]))
def test_less_likely_waits_longer_within_the_bounds(one, other, words):
    low, high = sorted((one, other))
    waits = graded_wait(OPTIONS, high, words), graded_wait(OPTIONS, low, words)
    assert OPTIONS.min_wait <= waits[0] <= waits[1] <= OPTIONS.max_wait


def test_waits_the_wrong_way_round():
    with pytest.raises(OptionError, match="max_wait"):
        TurnOptions(min_wait=1.0, max_wait=0.5)
