"""Read how often models reach production: an enum value, or words such as 'twice a year'."""

from __future__ import annotations

import re

_PER_YEAR = {"day": 365.0, "week": 52.0, "month": 12.0, "quarter": 4.0, "year": 1.0, "hour": 8760.0}
_UNIT = r"(hour|day|night|week|fortnight|month|quarter|half year|year|sprint|annum)"
_WORDS = {
    "on_demand": 1000.0,
    "on demand": 1000.0,
    "continuously": 1000.0,
    "continuous": 1000.0,
    "at will": 1000.0,
    "whenever we want": 1000.0,
    "every merge": 1000.0,
    "every commit": 1000.0,
    "each merge": 1000.0,
    "hourly": 8760.0,
    "daily": 365.0,
    "nightly": 365.0,
    "weekly": 52.0,
    "biweekly": 26.0,
    "bi-weekly": 26.0,
    "fortnightly": 26.0,
    "bimonthly": 6.0,
    "monthly": 12.0,
    "quarterly": 4.0,
    "half-yearly": 2.0,
    "half yearly": 2.0,
    "semi-annually": 2.0,
    "biannually": 2.0,
    "yearly": 1.0,
    "annually": 1.0,
    "annual": 1.0,
    "never": 0.0,
    "not at all": 0.0,
    "not yet": 0.0,
    "none": 0.0,
}
_NUMBERS = {
    "once": 1.0, "twice": 2.0, "thrice": 3.0, "a": 1.0, "an": 1.0, "one": 1.0, "two": 2.0,
    "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0, "seven": 7.0, "eight": 8.0, "nine": 9.0,
    "ten": 10.0, "twelve": 12.0, "few": 3.0, "couple": 2.0, "several": 3.0, "many": 10.0,
    "other": 2.0, "second": 2.0, "third": 3.0,
}  # fmt: skip
_COUNT = r"(\d{1,4}|" + "|".join(_NUMBERS) + r")"
_TIMES_PER = re.compile(
    rf"\b{_COUNT}(?:\s*(?:-|to|or)\s*{_COUNT})?\s*(?:of\s+)?(?:times?|x|releases?|versions?|models?|deployments?)?"
    rf"\s*(?:a|an|per|each|every|/)\s*{_UNIT}"
)
_EVERY = re.compile(
    rf"\b(?:every|each)\s+(?:{_COUNT}(?:\s*(?:-|to|or)\s*{_COUNT})?\s+)?{_UNIT}s?\b"
)
_ALIASES = {"night": "day", "annum": "year"}


def per_year(text: str) -> float | None:
    """Return model releases per year, or None when the words are not understood."""
    words = " ".join(text.lower().replace("_", " ").split())
    if words.replace(" ", "_") in _WORDS:
        return _WORDS[words.replace(" ", "_")]
    if match := _TIMES_PER.search(words):
        return _number(match.group(1)) * _unit(match.group(3))
    if match := _EVERY.search(words):
        # "every 2 to 3 months": the longer wait is the careful reading.
        apart = _number(match.group(2) or match.group(1) or "one")
        return _unit(match.group(3)) / apart if apart else None
    for phrase in sorted(_WORDS, key=len, reverse=True):
        if re.search(rf"\b{re.escape(phrase)}\b", words):
            return _WORDS[phrase]
    return None


def _number(text: str) -> float:
    return _NUMBERS[text] if text in _NUMBERS else float(text)


def _unit(name: str) -> float:
    name = _ALIASES.get(name, name)
    if name in {"fortnight", "sprint"}:
        return 26.0
    return 2.0 if name == "half year" else _PER_YEAR[name]
