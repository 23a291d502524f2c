from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from antiphon.errors import TransportError
from antiphon.transports.messages import HangUp, NotUnderstood, Start, Typed, parse

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"type":"text","text":" hello "}', Typed("hello")),
        ('{"type":"end"}', HangUp()),
        ('{"type":"start"}', Start(None, None)),
        ('{"type":"start","sample_rate":8000}', Start(8000, None)),
        ('{"type":"start","sample_rate":44100,"agent_sample_rate":48000}', Start(44100, 48000)),
        ('{"type":"start","agent_sample_rate":11025,"later":1}', Start(None, 11025)),
    ],
)
def test_what_is_understood(text: str, message: object):
    assert parse(text) == message


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "17", '"end"', "{", '{"type":"stop"}', '{"type":["end"]}', '{"text":"x"}'],
)
def test_what_is_not_names_the_types_that_exist(text: str):
    with pytest.raises(NotUnderstood, match="type start, text or end"):
        parse(text)


@pytest.mark.parametrize("text", ['{"type":"text"}', '{"type":"text","text":"  "}'])
def test_text_must_say_something(text: str):
    with pytest.raises(NotUnderstood, match="needs a"):
        parse(text)


@pytest.mark.parametrize(
    "rate", [0, -16000, 7999, 48001, 8001, 16000.0, "16000", True, [16000], 1e400, "x" * 10_000]
)
@pytest.mark.parametrize("name", ["sample_rate", "agent_sample_rate"])
def test_rates_that_cannot_be_served(name: str, rate: object):
    with pytest.raises(TransportError, match=f"{name} must be") as caught:
        parse(json.dumps({"type": "start", name: rate}))
    assert (caught.value.reason, caught.value.close_code) == ("unsupported-rate", 1003)
    assert len(str(caught.value)) < 200


def test_half_a_surrogate_pair_becomes_a_question_mark():
    assert parse(r'{"type":"text","text":"a\ud800b"}') == Typed("a?b")


@given(st.text() | JSON.map(json.dumps))
@example("[" * 60_000)
@example("1" * 60_000)
@example('{"type":"start","sample_rate":' + "9" * 4000 + "}")
def test_any_text_is_understood_or_refused(text: str):
    try:
        message = parse(text)
    except (NotUnderstood, TransportError):
        return
    assert isinstance(message, Start | Typed | HangUp)
    if isinstance(message, Typed):
        message.text.encode()
