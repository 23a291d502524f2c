from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from antiphon.models.arguments import find_arguments, question_for, spoken_numbers

WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
ORDER = {
    "properties": {"number": {"type": "string", "description": "The order number"}},
    "required": ["number"],
}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("4512", ["4512"]),
        ("4,512", ["4512"]),
        ("45 12.", ["4512"]),
        ("4-5-1-2", ["4512"]),
        ("4, 5, 1, 2.", ["4512"]),
        ("4. 5. 1. 2.", ["4512"]),
        ("45.12", ["4512"]),
        ("Four, five, one, two.", ["4512"]),
        ("it's four five twelve", ["4512"]),
        ("forty-five twelve", ["4512"]),
        ("four thousand, five hundred and twelve", ["4512"]),
        ("forty five hundred", ["4500"]),
        ("one oh seven", ["107"]),
        ("double five three", ["553"]),
        ("4 five 1 two", ["4512"]),
        ("order 4512, 2 bikes", ["4512", "2"]),
        ("two bikes for thirty days", ["2", "30"]),
        ("4512 and 77", ["4512", "77"]),
        ("the one from last week", []),
        ("Is this the one?", []),
        ("One.", ["1"]),
        ("oh hello", []),
        ("tone, often, weight", []),
        ("٤٥", []),
        ("", []),
    ],
)
def test_numbers_as_they_are_heard(text, numbers):
    assert spoken_numbers(text) == numbers


@given(st.text(alphabet="0123456789", min_size=2, max_size=8), st.sampled_from([" ", ", ", "-"]))
def test_digits_come_back_however_they_are_said(digits, between):
    assert spoken_numbers(between.join(digits)) == [digits]
    assert spoken_numbers(f"It's {between.join(WORDS[int(d)] for d in digits)}, I think.") == [
        digits
    ]


@given(st.text(max_size=40))
def test_any_text_gives_digits_only(text):
    assert all(number.isdecimal() and number.isascii() for number in spoken_numbers(text))


def test_what_is_found_and_what_is_missing():
    assert find_arguments(ORDER, "where is order 45 12") == ({"number": "4512"}, [])
    assert find_arguments(ORDER, "where is it") == ({}, ["number"])
    assert find_arguments({}, "anything 17") == ({}, [])


@pytest.mark.parametrize(
    ("rules", "text", "value"),
    [
        ({"type": "integer"}, "number 0451", 451),
        ({"type": "integer", "minimum": 10, "maximum": 99}, "5 bikes, 20 days and 300 dollars", 20),
        ({"type": "integer", "maximum": 5}, "twenty", None),
        ({"type": "string", "pattern": "^[0-9]{4}$"}, "two bikes, order 4512", "4512"),
        ({"type": "string", "pattern": r"^\d{4}$"}, "order 45123", None),
        ({"type": "string", "description": "postal code", "minLength": 5}, "1234", None),
        ({"type": "string", "description": "the caller's name"}, "I am 44", None),
        ({"enum": ["small", "extra_large"]}, "an extra large one please", "extra_large"),
        ({"enum": ["small", "large"]}, "a large one, not a small one", "large"),
        ({"enum": ["art", "large"]}, "the start", None),
        ({"enum": [1, 2]}, "number 2", 2),
        ({"type": "boolean"}, "Yes, please.", True),
        ({"type": "boolean"}, "without one", False),
        ({"type": "boolean"}, "well", None),
        ({"type": "object"}, "17", None),
    ],
)
def test_values_by_their_rules(rules, text, value):
    schema = {"properties": {"x": rules}, "required": ["x"]}
    expected = ({}, ["x"]) if value is None else ({"x": value}, [])
    assert find_arguments(schema, text) == expected


def test_several_numbers_are_given_in_order():
    rules = {"type": "integer"}
    schema = {"properties": {"bikes": rules, "days": rules}, "required": ["bikes", "days"]}
    assert find_arguments(schema, "two bikes for 30 days") == ({"bikes": 2, "days": 30}, [])
    assert find_arguments(schema, "two bikes") == ({"bikes": 2}, ["days"])


def test_optional_ones_are_taken_if_they_are_named():
    rules = {"size": {"enum": ["small", "large"]}, "count": {"type": "integer"}}
    assert find_arguments({"properties": rules}, "3 large ones") == ({"size": "large"}, [])


def test_free_text_is_taken_only_as_an_answer():
    schema = {"properties": {"name": {"type": "string"}}, "required": ["name"]}
    assert find_arguments(schema, "Ada Lovelace") == ({}, ["name"])
    assert find_arguments(schema, " Ada Lovelace ", is_answer=True) == (
        {"name": "Ada Lovelace"},
        [],
    )


@pytest.mark.parametrize(
    ("rules", "question"),
    [
        ({"description": "The order number, four digits"}, "Which order number?"),
        ({"description": "order number"}, "Which order number?"),
        ({"description": "VAT"}, "Which VAT?"),
        ({}, "Which ticket id?"),
        ({"description": "Size", "enum": ["small", "extra_large"]}, "Which size: small or extra large?"),
        ({"description": "Size", "enum": ["one"]}, "Which size?"),
    ],
)  # fmt: skip
def test_questions(rules, question):
    assert question_for("ticket_id", {"properties": {"ticket_id": rules}}) == question
