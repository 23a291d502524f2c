from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from antiphon.models.facts import SMALL_TALK, facts_in, sentences_in


def test_sentences():
    assert sentences_in("We open at 9.30 a day. Really?  Yes!\nCome by") == [
        "We open at 9.30 a day.",
        "Really?",
        "Yes!",
        "Come by",
    ]
    assert sentences_in(" \n ") == []


@given(st.text())
def test_no_word_is_lost(text):
    assert " ".join(sentences_in(text)).split() == text.split()


def test_what_addresses_the_model_is_no_fact():
    told = """You are the receptionist of Harbor Bikes. We open at nine.
    * Helmets are free.

    Never promise a price. Keep answers short. Yours is the choice."""
    assert [fact.text for fact in facts_in(told)] == [
        "We open at nine.",
        "Helmets are free.",
        "Yours is the choice.",
    ]


def test_all_small_talk_can_be_found():
    assert all(fact.questions for fact in SMALL_TALK)
