from hypothesis import given
from hypothesis import strategies as st

from antiphon.frames import WordTime
from antiphon.turns.ledger import Ledger

RATE = 16_000


def two_pieces() -> Ledger:
    ledger = Ledger(RATE)
    ledger.add_text(0, "We are open today.")
    ledger.add_audio(0, RATE)
    ledger.add_text(1, "See you soon!")
    ledger.add_audio(1, RATE)
    ledger.complete()
    return ledger


def test_nothing_played_is_nothing_heard():
    assert two_pieces().heard() == ""


def test_everything_played_is_everything_heard():
    ledger = two_pieces()
    ledger.played = 2 * RATE
    assert ledger.heard() == "We are open today. See you soon!"


def test_a_piece_is_cut_in_proportion():
    ledger = two_pieces()
    ledger.played = RATE // 2
    # Half of the 19 characters: past the middle of "open", before that of "today.".
    assert ledger.heard() == "We are open"


def test_word_times_decide_where_they_are_known():
    ledger = Ledger(RATE)
    ledger.add_text(0, "one two three")
    times = (WordTime("one", 0.0, 0.1), WordTime("two", 0.1, 0.2), WordTime("three", 0.2, 2.0))
    ledger.add_audio(0, 2 * RATE, times)
    ledger.complete()
    ledger.played = RATE
    assert ledger.heard() == "one two"
    ledger.played = RATE * 12 // 10
    assert ledger.heard() == "one two three"


def test_a_piece_still_being_made_is_judged_by_the_pace_so_far():
    ledger = Ledger(RATE)
    ledger.add_text(0, "a" * 10)
    ledger.add_audio(0, RATE)
    ledger.add_text(1, "bbbb cccc dddd eeee")
    ledger.add_audio(1, RATE // 10)
    ledger.played = RATE + RATE // 2
    # Ten characters a second: after half a second, five of them.
    assert ledger.heard() == "aaaaaaaaaa bbbb"


def test_seconds_ahead_is_what_was_made_and_not_played():
    ledger = two_pieces()
    ledger.played = RATE // 2
    assert ledger.seconds_ahead == 1.5


words = st.text(alphabet="abc", min_size=1, max_size=6)
pieces = st.lists(st.lists(words, min_size=1, max_size=5).map(" ".join), min_size=1, max_size=5)


@given(pieces, st.data())
def test_what_was_heard_only_grows_and_is_a_prefix_of_the_text(texts, data):
    ledger = Ledger(RATE)
    for index, text in enumerate(texts):
        ledger.add_text(index, text)
        ledger.add_audio(index, data.draw(st.integers(0, RATE)))
    ledger.complete()
    before: list[str] = []
    for played in sorted(data.draw(st.lists(st.integers(0, 2 * ledger.samples + 1), max_size=8))):
        ledger.played = played
        heard = ledger.heard().split()
        assert ledger.text.split()[: len(heard)] == heard
        assert heard[: len(before)] == before
        before = heard
    if ledger.samples:
        ledger.played = ledger.samples
        silent = sum(not ledger._pieces[i].samples for i in range(len(texts)))
        assert silent or ledger.heard() == ledger.text
