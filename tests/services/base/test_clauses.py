import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.services.base.clauses import Clauses


def cut(text, size=1000):
    clauses = Clauses()
    pieces = []
    for at in range(0, len(text), size):
        pieces.extend(clauses.add(text[at : at + size]))
    pieces.extend(clauses.flush())
    return pieces


def test_the_first_clause_goes_at_once_and_later_sentences_stay_whole():
    text = "On Saturday we are open, from ten to four. On Sunday, alas, we are closed. Bye!"
    assert cut(text) == [
        "On Saturday we are open,",
        "from ten to four.",
        "On Sunday, alas, we are closed.",
        "Bye!",
    ]


def test_a_first_clause_of_two_words_is_too_short():
    assert cut("Yes, of course, we are.") == ["Yes, of course,", "we are."]


@pytest.mark.parametrize(
    "text",
    ["It costs 3.50 dollars today.", "Ask Dr. Smith about it.", "That is 1,200 dollars in all."],
)
def test_what_only_looks_like_an_end_is_none(text):
    assert cut(text) == [text]


def test_nothing_is_cut_before_the_next_word_has_begun():
    clauses = Clauses()
    assert list(clauses.add("We are open. ")) == []
    assert list(clauses.add("See")) == ["We are open."]


def test_a_line_break_cuts():
    assert cut("Let me check that\nYour order ships tomorrow.")[0] == "Let me check that"


def test_text_without_an_end_is_cut_at_a_space():
    pieces = cut("word " * 200)
    assert max(map(len, pieces)) <= 240
    assert all(piece == piece.strip() for piece in pieces)


texts = st.text(alphabet="ab .,!?;\n-'1", max_size=300)


@given(texts, st.integers(1, 20))
def test_no_character_is_lost_however_the_text_comes(text, size):
    assert "".join("".join(cut(text, size)).split()) == "".join(text.split())


@given(texts, st.integers(1, 20))
def test_pieces_are_never_blank(text, size):
    assert all(piece.strip() for piece in cut(text, size))
