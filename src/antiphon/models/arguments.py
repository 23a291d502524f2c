"""Arguments of a tool, taken from a person's words without a language model.

Numbers as they are spoken or as a speech recogniser writes them, words of an enumeration, yes and
no. Pure: text in, values out. Must not hold which tool is meant (`retrieval`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["find_arguments", "question_for", "spoken_numbers"]

_UNITS = {
    "zero": 0,
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "six": 6,
    "seven": 7,
    "eight": 8,
    "nine": 9,
}
_TEENS = {
    "ten": 10,
    "eleven": 11,
    "twelve": 12,
    "thirteen": 13,
    "fourteen": 14,
    "fifteen": 15,
    "sixteen": 16,
    "seventeen": 17,
    "eighteen": 18,
    "nineteen": 19,
}
_TENS = {
    "twenty": 20,
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "seventy": 70,
    "eighty": 80,
    "ninety": 90,
}
_SCALES = {"hundred": 100, "thousand": 1000}
_TIMES = {"double": 2, "triple": 3}
_ANY = "|".join((*_UNITS, *_TEENS, *_TENS, *_SCALES, *_TIMES))
_SPOKEN = re.compile(rf"\b(?:{_ANY})(?:[\s,-]+(?:and\s+)?(?:{_ANY}|oh|o)\b)*\b")
_WRITTEN = re.compile(r"[0-9]+(?:[.,][0-9]+)*")
_WORD = re.compile(r"[a-z]+")
_SPACE = re.compile(r"[\s-]+")
_STOP = re.compile(r"[,.]\s+")

_IS_NUMERIC = re.compile(r"\b(?:number|code|digits?|id|phone|pin|zip|postcode)\b|\\d|\[0-9")
_YES = re.compile(r"\b(?:yes|yeah|yep|sure|please do|of course|correct|true)\b")
_NO = re.compile(r"\b(?:no|nope|not|false|don't|without)\b")


def spoken_numbers(text: str) -> list[str]:
    """Find the numbers in a person's words, in order, as strings of digits.

    Understands "4512", "4,512", "45 12", "4-5-1-2", "four five one two", "forty-five twelve",
    "four thousand five hundred and twelve" and "double five". A lone "one" is a word, not a number,
    unless there are three words at most.
    """
    words = text.lower()
    is_short = len(words.split()) <= 3

    def write(match: re.Match[str]) -> str:
        spoken = match.group()
        return spoken if spoken == "one" and not is_short else _digits_of(_WORD.findall(spoken))

    written = _SPOKEN.sub(write, words)
    numbers: list[str] = []
    last, end = "", 0
    for match in _WRITTEN.finditer(written):
        digits = re.sub(r"[.,]", "", match.group())
        if last and _is_one_number(last, written[end : match.start()], digits):
            numbers[-1] += digits
        else:
            numbers.append(digits)
        last, end = digits, match.end()
    return numbers


def _is_one_number(before: str, gap: str, digits: str) -> bool:
    """Whether two parts are one number: "45 12" and "4, 5", but not "4512, 2 bikes"."""
    if _SPACE.fullmatch(gap):
        return True
    return bool(_STOP.fullmatch(gap)) and max(len(before), len(digits)) <= 2


def _digits_of(words: Sequence[str]) -> str:
    if not any(scale in words for scale in _SCALES):
        return _spelt_out(words)
    # "Four thousand five hundred and twelve": a value, not digits one after the other.
    total, current = 0, 0
    for word in words:
        if word == "thousand":
            total, current = total + max(current, 1) * 1000, 0
        elif word == "hundred":
            current = max(current, 1) * 100
        else:
            current += _UNITS.get(word, 0) + _TEENS.get(word, 0) + _TENS.get(word, 0)
    return str(total + current)


def _spelt_out(words: Sequence[str]) -> str:
    digits, times, after_ten = "", 1, False
    for word in words:
        if word in _TIMES:
            times = _TIMES[word]
            continue
        if after_ten and _UNITS.get(word, 0):
            digits = digits[:-1] + str(_UNITS[word])
            after_ten = False
        elif word in _TENS or word in _TEENS:
            digits += str(_TENS.get(word) or _TEENS[word])
            after_ten = word in _TENS
        else:
            digits += str(_UNITS.get(word, 0)) * times
            after_ten = False
        times = 1
    return digits


def find_arguments(
    schema: Mapping[str, Any], text: str, *, is_answer: bool = False
) -> tuple[dict[str, Any], list[str]]:
    """Take a tool's arguments from a person's words.

    Args:
        schema: JSON schema of the tool's arguments.
        text: What the person said.
        is_answer: It answers a question for the one argument that was missing, so that free text is
            taken whole.

    Returns:
        The arguments that were found, and the names of required ones that were not, in order.
    """
    properties: Mapping[str, Mapping[str, Any]] = schema.get("properties", {})
    required = [name for name in schema.get("required", ()) if name in properties]
    numeric = [name for name in required if _takes_number(name, properties[name])]
    numbers = spoken_numbers(text)
    found: dict[str, Any] = {}
    for name, rules in properties.items():
        value: Any = None
        if "enum" in rules:
            value = _named(rules["enum"], text)
        elif name in numeric:
            value = _number_for(rules, numbers, is_only=len(numeric) == 1)
        elif rules.get("type") == "boolean":
            value = _yes_or_no(text)
        elif is_answer and name in required and rules.get("type") == "string":
            value = text.strip() or None
        if value is not None:
            found[name] = value
    return found, [name for name in required if name not in found]


def _takes_number(name: str, rules: Mapping[str, Any]) -> bool:
    if "enum" in rules:
        return False
    if rules.get("type") in {"integer", "number"}:
        return True
    told = f"{name.replace('_', ' ')} {rules.get('description', '')} {rules.get('pattern', '')}"
    return rules.get("type") == "string" and bool(_IS_NUMERIC.search(told.lower()))


def _number_for(rules: Mapping[str, Any], numbers: list[str], *, is_only: bool) -> str | int | None:
    """Take the number that fits best out of `numbers`."""
    is_text = rules.get("type") == "string"
    fitting = [n for n in numbers if (_fits_text(rules, n) if is_text else _fits(rules, int(n)))]
    if not fitting:
        return None
    # A number that names something is the longest one; several are given in the schema's order.
    chosen = max(fitting, key=len) if is_only else fitting[0]
    numbers.remove(chosen)
    return chosen if is_text else int(chosen)


def _fits_text(rules: Mapping[str, Any], number: str) -> bool:
    return (
        rules.get("minLength", 0) <= len(number) <= rules.get("maxLength", len(number))
        and re.search(rules.get("pattern", ""), number) is not None
    )


def _fits(rules: Mapping[str, Any], number: int) -> bool:
    return bool(rules.get("minimum", number) <= number <= rules.get("maximum", number))


def _named(choices: Sequence[Any], text: str) -> Any:
    """The choice that is named first, or None."""
    words = _plain(text)
    places = {
        words.find(f" {_plain(str(choice)).strip()} "): choice for choice in reversed(choices)
    }
    places.pop(-1, None)
    return places[min(places)] if places else None


def _plain(text: str) -> str:
    return f" {' '.join(re.findall(r'[a-z0-9]+', text.lower()))} "


def _yes_or_no(text: str) -> bool | None:
    words = text.lower()
    if _NO.search(words):
        return False
    return True if _YES.search(words) else None


def question_for(name: str, schema: Mapping[str, Any]) -> str:
    """Word the question for an argument, such as "Which order number?".

    Args:
        name: Of the argument.
        schema: JSON schema of the tool's arguments; the description is used up to its first stop.
    """
    rules = schema.get("properties", {}).get(name, {})
    told = re.split(r"[.,;:(]", rules.get("description", ""))[0].strip() or name.replace("_", " ")
    told = re.sub(r"^(?:the|a|an|its|your|their)\s+", "", told, flags=re.IGNORECASE)
    if not told.isupper():
        told = told[0].lower() + told[1:]
    choices = [str(choice).replace("_", " ") for choice in rules.get("enum", ())]
    if len(choices) < 2:
        return f"Which {told}?"
    return f"Which {told}: {', '.join(choices[:-1])} or {choices[-1]}?"
