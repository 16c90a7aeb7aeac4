"""Comments and names that state another schedule than the expression beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules import _docs

_FIELD: Final = r"(?:\*|\?|[\d,/*LW#-]{1,20}|[A-Za-z]{3}(?:[-,][A-Za-z]{3}){0,6})"
_CRON: Final = re.compile(
    rf"(?<![\w*/.,-])({_FIELD}[ \t]{_FIELD}[ \t]{_FIELD}[ \t]{_FIELD}[ \t]{_FIELD})(?![\w*/,-])"
)
_PRESET: Final = re.compile(r"[\"']@(hourly|daily|midnight|weekly|monthly|yearly|annually)[\"']")
_KEYS: Final = ("cron", "schedule", "interval", "crontab", "rate(")
_DAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_SHORT: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_EVERY: Final = re.compile(r"\bevery\s{1,3}(\d{1,3})\s{1,3}(minute|min|hour|day)s?\b")
_AT: Final = re.compile(
    r"\b(?:at|@)\s{1,3}(\d{1,2})(?::(\d{2}))?\s{0,2}(am|pm)?\b(?!\s{0,2}(?:minutes|hours|days|%))"
)
_WORDS: Final = (
    ("minute", re.compile(r"\b(?:every|each) minute\b|\bminutely\b")),
    ("hour", re.compile(r"\bhourly\b|\b(?:every|each|once an|once per) hour\b")),
    (
        "day",
        re.compile(
            r"\bdaily\b|\b(?:every|each) (?:day|night|morning|evening)\b|\bnightly\b|\bonce (?:a|per) day\b"
        ),
    ),
    ("week", re.compile(r"\bweekly\b|\b(?:every|each) week\b|\bonce (?:a|per) week\b")),
    ("month", re.compile(r"\bmonthly\b|\b(?:every|each) month\b|\bonce (?:a|per) month\b")),
)
_SUFFIXES: Final = (".py", ".yml", ".yaml", ".tf", ".sh", ".toml", ".json", ".cfg")
_COMMENT: Final = re.compile(r"(?:#|//)\s{0,4}(.{3,200})")


def mismatches(repo: AuditRepository) -> Iterator[Hit]:
    """Schedules that a comment on the line, or the one above it, states otherwise."""
    for path in repo.files:
        low = path.lower()
        if not (low.endswith(_SUFFIXES) or "crontab" in low) or _docs.is_template(path):
            continue
        text = repo.text(path)
        if not any(k in text for k in _KEYS) or low.endswith((".lock", "package-lock.json")):
            continue
        lines = repo.lines(path)
        for number, line in enumerate(lines[:5_000], 1):
            hit = _line(path, lines, number, line[:500])
            if hit is not None:
                yield hit


def _line(path: str, lines: list[str], number: int, line: str) -> Hit | None:
    bare = line.strip()
    if bare.startswith(("#", "//")):
        return None
    code = (
        line.partition(" #")[0].partition("//")[0] if "://" not in line else line.partition(" #")[0]
    )
    found = _CRON.search(code)
    preset = _PRESET.search(code)
    if found is None and preset is None:
        return None
    low = code.lower()
    if not any(k in low or k in (lines[number - 2].lower() if number > 1 else "") for k in _KEYS):
        if not ("cron" in path.lower() and found is not None):
            return None
    expression = found.group(1) if found is not None else f"@{preset.group(1)}" if preset else ""
    said = _said(lines, number, line)
    if not said:
        return None
    why = contradiction(expression, said.lower())
    if not why:
        return None
    return Hit(
        path,
        number,
        f"The comment says `{said.strip()[:80]}`, and `{expression}` runs {why}.",
        "Correct the one that is wrong; who reads the comment relies on it.",
        severity=MEDIUM,
        confidence=0.9,
    )


def _said(lines: list[str], number: int, line: str) -> str:
    own = _COMMENT.search(line[len(line) - len(line.lstrip()) :])
    if own and not re.match(r"\s{0,4}(?:noqa|type:|nosec|yamllint)", own.group(1)):
        return own.group(1)
    for above in (number - 2, number - 3):
        if above < 0:
            break
        bare = lines[above][:300].strip()
        if bare.startswith(("#", "//")):
            return bare.lstrip("#/ ")
        if not re.match(r"-?\s{0,4}(?:schedule|cron|on|triggers?)\b[\w\s-]{0,20}:?\s{0,4}$", bare):
            break
    return ""


def contradiction(expression: str, said: str) -> str:
    """How often an expression runs in words, when a text says otherwise; empty when they agree."""
    runs = _frequency(expression)
    if runs is None:
        return ""
    unit, count, words = runs
    every = _EVERY.search(said)
    if every:
        wanted = "minute" if every.group(2).startswith("min") else every.group(2)
        if (wanted, int(every.group(1))) == (unit, count):
            return ""
        if wanted == "hour" and unit == "day" and every.group(1) == "24":
            return ""
        if wanted == "minute" and unit == "hour" and every.group(1) == "60":
            return ""
        return words
    stated = [name for name, pattern in _WORDS if pattern.search(said)]
    days = [
        i
        for i, day in enumerate(_DAYS)
        if re.search(rf"\b{day}s?\b|\b{_SHORT[i]}\b\.?(?=\s|$|,)", said)
    ]
    if len(stated) == 1 and not (stated[0] == "day" and days):
        if stated[0] == unit and count == 1:
            return _wrong_hour(expression, said, words)
        if stated[0] == "day" and unit == "week" and _weekdays(expression) > 3:  # noqa: PLR2004
            return ""
        return words
    if not stated and days and len(days) == 1 and unit in ("week", "day", "hour", "month"):
        fields = expression.split()
        ran = _day_numbers(fields[4]) if len(fields) == 5 else None  # noqa: PLR2004
        if ran is not None and days[0] not in ran:
            return words
        return "" if unit == "week" else words
    return _wrong_hour(expression, said, words) if not stated else ""


def _frequency(expression: str) -> tuple[str, int, str] | None:
    """Unit, number of units between runs, and words for it."""
    presets = {
        "hourly": "hour",
        "daily": "day",
        "midnight": "day",
        "weekly": "week",
        "monthly": "month",
    }
    if expression.startswith("@"):
        unit = presets.get(expression[1:])
        return (unit, 1, f"every {unit}") if unit else None
    minute, hour, day, month, weekday = expression.split()
    free = ("*", "?")
    found: tuple[str, int] | None = None
    if minute in free and hour in free:
        found = ("minute", 1)
    elif minute.startswith("*/") and hour in free and minute[2:].isdigit():
        found = ("minute", int(minute[2:]))
    elif hour in free and minute.isdigit():
        found = ("hour", 1)
    elif hour.startswith("*/") and minute.isdigit() and hour[2:].isdigit():
        found = ("hour", int(hour[2:]))
    elif not (hour.isdigit() and (minute.isdigit() or minute in free)):
        return None
    if found is not None:
        if day in free and weekday in free:
            number = f"{found[1]} {found[0]}s" if found[1] > 1 else found[0]
            return found[0], found[1], f"every {number}"
        return None
    if day in free and weekday in free:
        return "day", 1, "every day"
    if day.startswith("*/") and day[2:].isdigit() and weekday in free:
        return "day", int(day[2:]), f"every {day[2:]} days"
    if day in free:
        days = _day_numbers(weekday)
        names = ", ".join(_DAYS[d].capitalize() for d in sorted(days)) if days else weekday
        return "week", 1, f"on {names}"
    if weekday in free and month in free:
        return "month", 1, f"on day {day} of each month"
    return None


def _day_numbers(field: str) -> set[int] | None:
    """Days of the week that a field names; None when it names none."""
    found: set[int] = set()
    for part in field.lower().split(","):
        ends = [_number(p) for p in part.split("-")]
        if any(e is None for e in ends) or not ends:
            return None
        first, final = ends[0] or 0, ends[-1] or 0
        found |= {d % 7 for d in range(first, (final if final >= first else final + 7) + 1)}
    return found


def _number(text: str) -> int | None:
    if text.isdigit() and int(text) <= 7:  # noqa: PLR2004
        return int(text) % 7
    return _SHORT.index(text[:3]) if text[:3] in _SHORT else None


def _weekdays(expression: str) -> int:
    fields = expression.split()
    return len(_day_numbers(fields[4]) or ()) if len(fields) == 5 else 0  # noqa: PLR2004


def _wrong_hour(expression: str, said: str, words: str) -> str:
    """Words for the hour, when the text states another one; time zones may move it."""
    fields = expression.split()
    if len(fields) != 5 or not fields[1].isdigit() or not fields[0].isdigit():  # noqa: PLR2004
        return ""
    if re.search(r"\b(?:[a-z]{2,4}t|utc|gmt|local|time zone|timezone|ist|jst|kst)\b", said):
        return ""
    found = _AT.search(said)
    midnight = "midnight" in said
    if found is None and not midnight:
        return ""
    hour = 0 if found is None else int(found.group(1)) % 12 + 12 * (found.group(3) == "pm")
    if found is not None and not found.group(3):
        if not found.group(2):
            return ""
        hour = int(found.group(1))
    return f"{words} at {fields[1]}:{fields[0]:0>2}" if hour != int(fields[1]) else ""
