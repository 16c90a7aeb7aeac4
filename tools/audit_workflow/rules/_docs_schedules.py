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
            r"\bdaily\b|\b(?:every|each) (?:day|night|morning|evening)\b|\bnightly\b|"
            r"\bonce (?:a|per) day\b"
        ),
    ),
    ("week", re.compile(r"\bweekly\b|\b(?:every|each) week\b|\bonce (?:a|per) week\b")),
    ("month", re.compile(r"\bmonthly\b|\b(?:every|each) month\b|\bonce (?:a|per) month\b")),
)
_DAY_WORDS: Final = tuple(re.compile(rf"\b{day}s?\b|\b{day[:3]}\b\.?(?=\s|$|,)") for day in _DAYS)
_PRESETS: Final = {
    "hourly": "hour",
    "daily": "day",
    "midnight": "day",
    "weekly": "week",
    "monthly": "month",
}
_ROUND: Final = {
    ("hour", 24): ("day", 1),
    ("minute", 60): ("hour", 1),
    ("day", 7): ("week", 1),
}
_FREE: Final = ("*", "?")
_FIELDS: Final = 5
_FEW_DAYS: Final = 3
_MOST: Final = 5_000  # lines of one file
_SUFFIXES: Final = (".py", ".yml", ".yaml", ".tf", ".sh", ".toml", ".json", ".cfg")
_COMMENT: Final = re.compile(r"(?:#|//)\s{0,4}(.{3,200})")


def mismatches(repo: AuditRepository) -> Iterator[Hit]:
    """Schedules that a comment on the line, or the one above it, states otherwise."""
    yield from _names(repo)
    for path in repo.files:
        low = path.lower()
        if not (low.endswith(_SUFFIXES) or "crontab" in low) or _docs.is_template(path):
            continue
        text = repo.text(path)
        if not any(k in text for k in _KEYS) or low.endswith((".lock", "package-lock.json")):
            continue
        lines = repo.lines(path)
        for number in _told(path, text.lower(), min(len(lines), _MOST)):
            hit = _line(path, lines, number, lines[number - 1][:500])
            if hit is not None:
                yield hit


def _told(path: str, low: str, count: int) -> list[int]:
    """Numbers of the lines that a key stands on or above; all lines of a crontab."""
    if "cron" in path.lower():
        return list(range(1, count + 1))
    places: set[int] = set()
    for key in _KEYS:
        at = low.find(key)
        while at >= 0:
            places.add(at)
            at = low.find(key, at + 1)
    found: set[int] = set()
    number, last = 1, 0
    for place in sorted(places):
        number += low.count("\n", last, place)
        last = place
        found |= {number, number + 1}
    return sorted(n for n in found if n <= count)


def _names(repo: AuditRepository) -> Iterator[Hit]:
    """Schedules that the name or description of the same job states otherwise."""
    for file in repo.yaml_files(holding=("cron:",)):
        for doc in file.docs if not _docs.is_template(file.path) else ():
            crons = [n for _, n in doc.find("cron") if n.text]
            name = doc.child("name")
            if len(crons) == 1 and name is not None and name.text:
                why = contradiction(crons[0].text.strip(), _spaced(name.text))
                if why:
                    yield _named(file.path, crons[0].line, name.text, crons[0].text, why)
    for path, module in repo.code.product.items():
        text = repo.text(path)
        for call in module.calls if "schedule" in text or "cron" in text else ():
            given = [call.kwargs.get(k) for k in ("schedule", "schedule_interval", "cron")]
            expression = next((g for g in given if isinstance(g, str)), "")
            names = (
                [call.text_of(k) for k in ("dag_id", "description", "name")] if expression else []
            )
            for name_ in filter(None, (*names, call.text_of("dag_id", 0) if names else "")):
                why = contradiction(expression.strip(), _spaced(name_))
                if why:
                    yield _named(path, call.line, name_, expression, why)
                    break


def _spaced(name: str) -> str:
    return re.sub(r"[_-]", " ", name[:200]).lower()


def _named(path: str, line: int, name: str, expression: str, why: str) -> Hit:
    return Hit(
        path,
        line,
        f"The job is called `{name[:80]}`, and `{expression}` runs {why}.",
        "Correct the one that is wrong; who reads the name relies on it.",
        severity=MEDIUM,
        confidence=0.8,
    )


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
    above = lines[number - 2].lower() if number > 1 else ""
    told = any(k in low or k in above for k in _KEYS)
    if not told and not ("cron" in path.lower() and found is not None):
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
        asked = _ROUND.get((wanted, int(every.group(1))), (wanted, int(every.group(1))))
        return "" if asked == (unit, count) else words
    stated = [name for name, pattern in _WORDS if pattern.search(said)]
    days = [i for i, pattern in enumerate(_DAY_WORDS) if pattern.search(said)]
    if len(stated) == 1 and not (stated[0] == "day" and days):
        if stated[0] == unit and count == 1:
            return _wrong_hour(expression, said, words)
        working = stated[0] == "day" and unit == "week" and len(_ran(expression)) > _FEW_DAYS
        return "" if working else words
    if not stated and len(days) == 1:
        return words if unit != "week" or days[0] not in _ran(expression) else ""
    return _wrong_hour(expression, said, words) if not stated else ""


def _frequency(expression: str) -> tuple[str, int, str] | None:
    """Give the unit, the number of units between runs, and words for it."""
    if expression.startswith("@"):
        unit = _PRESETS.get(expression[1:])
        return (unit, 1, f"every {unit}") if unit else None
    fields = expression.split()
    if len(fields) != _FIELDS:
        return None
    minute, hour, day, month, weekday = fields
    found = _within_a_day(minute, hour)
    if found is not None:
        if day not in _FREE or weekday not in _FREE:
            return None
        number = f"{found[1]} {found[0]}s" if found[1] > 1 else found[0]
        return found[0], found[1], f"every {number}"
    if not (hour.isdigit() and (minute.isdigit() or minute in _FREE)):
        return None
    return _by_days(day, month, weekday)


def _by_days(day: str, month: str, weekday: str) -> tuple[str, int, str] | None:
    """Give the same for what runs once on some days."""
    if day in _FREE:
        days = _day_numbers(weekday) if weekday not in _FREE else set(range(7))
        if days is not None and len(days) == len(_DAYS):
            return "day", 1, "every day"
        names = ", ".join(_DAYS[d].capitalize() for d in sorted(days)) if days else weekday
        return "week", 1, f"on {names}"
    if weekday not in _FREE:
        return None
    if day[2:].isdigit() and day.startswith("*/"):
        return "day", int(day[2:]), f"every {day[2:]} days"
    return ("month", 1, f"on day {day} of each month") if month in _FREE else None


def _within_a_day(minute: str, hour: str) -> tuple[str, int] | None:
    """Give unit and number of what runs several times a day; None when it does not."""
    if hour in _FREE:
        if minute in _FREE:
            return "minute", 1
        if minute.startswith("*/") and minute[2:].isdigit():
            return "minute", int(minute[2:])
        return ("hour", 1) if minute.isdigit() else None
    if hour.startswith("*/") and minute.isdigit() and hour[2:].isdigit():
        return "hour", int(hour[2:])
    return None


def _ran(expression: str) -> set[int]:
    """Days of the week on which an expression runs, where it names some."""
    fields = expression.split()
    return (_day_numbers(fields[4]) or set()) if len(fields) == _FIELDS else set()


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


def _wrong_hour(expression: str, said: str, words: str) -> str:
    """Words for the hour, when the text states another one; time zones may move it."""
    fields = expression.split()
    if len(fields) != _FIELDS or not fields[1].isdigit() or not fields[0].isdigit():
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
