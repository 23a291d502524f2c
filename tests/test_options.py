import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import OptionError, unknown_option
from antiphon.options import Declared, one_of, within


class Tuned(Declared):
    def __init__(self, base, *, volume=1.0, needed):
        self.base = base


def test_a_right_call_is_left_alone():
    assert Tuned(1, needed=2).base == 1


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(OptionError, match="Tuned has no option 'volum'; did you mean 'volume'"):
        Tuned(1, volum=2, needed=3)


def test_a_name_that_is_near_to_nothing_gets_all():
    with pytest.raises(OptionError, match="known: base, needed, volume"):
        Tuned(1, xyzzy=2, needed=3)


def test_a_missing_option_is_named():
    with pytest.raises(OptionError, match="Tuned needs the option 'needed'"):
        Tuned(1)


def test_a_class_that_takes_anything_may():
    class Open(Declared):
        def __init__(self, **options):
            self.options = options

    assert Open(a=1).options == {"a": 1}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (300, "seconds", "if you meant milliseconds, write 0.3"),
        (0.3, "milliseconds", "if you meant seconds, write 300"),
        (-1, "Hz", "outside 1 to 10 Hz"),
        (True, "seconds", "must be a number"),
        ("1", "seconds", "must be a number of seconds, not '1'"),
    ],
)
def test_values_out_of_range(value, unit, text):
    low, high = (100, 1000) if unit == "milliseconds" else (1, 10)
    if text.endswith("0.3"):
        low, high = 0.1, 10
    with pytest.raises(OptionError, match=text):
        within("Owner", "wait", value, low, high, unit)


@given(st.floats(), st.floats(0, 10))
def test_within_is_exactly_the_range(value, high):
    if 0 <= value <= high:
        within("Owner", "wait", value, 0, high, "seconds")
    else:
        with pytest.raises(OptionError):
            within("Owner", "wait", value, 0, high, "seconds")


def test_words():
    one_of("Owner", "mode", "fast", ("fast", "slow"))
    with pytest.raises(OptionError, match="mode='medium' is not one of 'fast', 'slow'"):
        one_of("Owner", "mode", "medium", ("slow", "fast"))


def test_nothing_known():
    assert "known: none" in str(unknown_option("Owner", "a", ()))
