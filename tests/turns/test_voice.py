import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.errors import OptionError
from antiphon.frames import VoiceStarted, VoiceStopped
from antiphon.turns.voice import VoiceEdges, VoiceOptions

WINDOW = 512


def edges(probabilities, **options):
    machine = VoiceEdges(WINDOW, VoiceOptions(**options))
    return [(i, edge) for i, p in enumerate(probabilities) if (edge := machine.feed(p))]


def test_two_windows_make_a_start_where_the_first_began():
    assert edges([0, 0, 0.9, 0.9]) == [(3, VoiceStarted(2 * WINDOW, 2 * WINDOW / 16000))]


def test_one_window_is_a_click():
    assert edges([0, 0.9, 0, 0.9, 0, 0]) == []


def test_three_windows_of_silence_make_a_stop_where_the_first_began():
    found = edges([0.9, 0.9, 0.1, 0.1, 0.1])
    assert found[1] == (4, VoiceStopped(2 * WINDOW, 3 * WINDOW / 16000))


def test_what_lies_between_the_thresholds_counts_for_neither():
    assert [type(e) for _, e in edges([0.9, 0.9, 0.1, 0.4, 0.4, 0.1, 0.1])] == [
        VoiceStarted,
        VoiceStopped,
    ]
    assert edges([0.9, 0.9, 0.1, 0.6, 0.1, 0.1])[1:] == []


def test_milliseconds_are_recognised():
    with pytest.raises(OptionError, match=r"write 0\.2"):
        VoiceOptions(stop_silence=200)


def test_thresholds_the_wrong_way_round():
    with pytest.raises(OptionError, match="stop_threshold"):
        VoiceOptions(start_threshold=0.3, stop_threshold=0.5)


def test_unknown_option_names_the_nearest():
    with pytest.raises(OptionError, match="did you mean 'stop_silence'"):
        VoiceOptions(stop_silense=0.2)


@given(st.lists(st.floats(0, 1), max_size=200))
def test_edges_alternate_and_positions_grow(probabilities):
    found = [edge for _, edge in edges(probabilities)]
    assert all(
        isinstance(edge, VoiceStarted if i % 2 == 0 else VoiceStopped)
        for i, edge in enumerate(found)
    )
    places = [edge.at_sample for edge in found]
    assert places == sorted(places)
    assert all(0 <= place < len(probabilities) * WINDOW for place in places)


def test_a_voice_that_is_on_ends_with_the_sound():
    machine = VoiceEdges(WINDOW, VoiceOptions())
    assert machine.end() is None
    machine.feed(0.9)
    machine.feed(0.9)
    assert machine.end() == VoiceStopped(2 * WINDOW)
    assert machine.end() is None
