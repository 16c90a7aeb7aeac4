"""Credentials written in files: patterns of vendors, and values given to names such as `password`.

What is found never holds the secret itself: only where it stands, of what kind it is, and the
line with the value masked.  Every pattern is linear and bounded; a file is looked at line by line
only where it holds one of a few words.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import log2
from typing import Final

from mlops_advisor.tools.evidence.secret_patterns import (
    DEFAULTS,
    FAKE,
    FINDERS,
    HARMLESS,
    KEYWORD,
    MASK,
    NO_SECRET_NAME,
    POINTS,
    PUBLIC,
    VENDORS,
    Vendor,
    vendors_in,
)

_MAX_LINE: Final = 2_000
_MAX_LINES: Final = 3_000  # of one file that hold a word; a log has more and says nothing new
_MAX_FOUND: Final = 200  # in one file
_MAX_OUTPUT: Final = 200_000  # characters of one output of a notebook
_SHOWN: Final = 160

_URL: Final = "password in a URL"
_NEEDS_CONTEXT: Final = {"Kaggle key": "username", "Twilio key": "twilio", "Mailgun key": "mailgun"}

_PASSWORD: Final = re.compile(r"(?i)passw|passphrase|pwd|pass$|(?:^|_)pass(?:_|$)")
_NAME_CHARS: Final = re.compile(r"[\w.-]{0,60}$")
_REST: Final = re.compile(r"[\w.-]{0,60}")
# What stands between a name and its value: `=`, `:`, `, "default"`, a type, a wrapper.
_BETWEEN: Final = re.compile(
    r"(?P<close>[\"'`]?\]?)\s{0,8}(?:"
    r":\s{0,4}(?:str|bytes|Any|(?:Optional\[)?(?:str|SecretStr)\]?|SecretStr|(?:str|SecretStr)\s?\|\s?None)"
    r"\s{0,4}=\s{0,4}|=>\s{0,8}|:=\s{0,8}|[:=]\s{0,40}|,\s{0,4}(?:default\s{0,3}[=:]\s{0,3}|value\s{0,3}[=:]\s{0,3})?"
    r"|\s{1,4}(?=[\"']))"
    r"(?:(?:pydantic\.)?(?:SecretStr|Field|Secret|str|bytes|b64decode|quote_plus)\(\s{0,4}"
    r"(?:default\s{0,3}=\s{0,3})?)?"
    r"(?P<prefix>[rbuRBU]{0,2})(?P<quote>\\?[\"'`]?)"
)
_BARE: Final = re.compile(r"[^\s\"'`,;]{3,300}")
_NAMED: Final = re.compile(
    r"(?i)[\"']?\bname[\"']?\s{0,4}[:=]\s{0,4}[\"']?([\w.-]{2,80})[\"']?\s{0,4}(?:,|\}|$)"
)
_VALUE: Final = re.compile(r"(?i)[\"']?\bvalue[\"']?\s{0,4}[:=]\s{0,4}([\"']?)([^\s\"',}]{3,300})")
_VARIABLE: Final = re.compile(r"^\s{0,8}variable\s{1,4}\"([\w-]{2,80})\"")
_DEFAULT: Final = re.compile(r"^\s{0,20}default\s{0,20}=\s{0,4}(\")([^\"]{1,300})\"")
_INSTRUCTION: Final = re.compile(r"^\s{0,8}(?:ENV|ARG)\s{1,8}([\w.-]{2,80})\s{1,8}(\S{3,300})\s*$")
_DSN: Final = re.compile(r"(?i)(?:^|[\s;\"'])(?:password|pwd)=([^\s;\"'&{}]{3,120})")
_DSN_WORDS: Final = ("host=", "server=", "user=", "dbname=", "uid=", "user id=")
_OPTION: Final = re.compile(
    r"(?i)(?:^|\s)--([\w-]{0,40}(?:password|token|secret|api-key|secret-key))\s{1,4}"
    r"[\"']?([^\s\"'-][^\s\"']{2,200})"
)

_FALLBACK: Final = re.compile(r"^\$\{\w{1,80}:?-([^{}$]{3,200})\}$")  # ${NAME:-value}
_OAUTH: Final = re.compile(r"(?:oauth|client)_?secret$")
_UUID: Final = re.compile(r"^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$")
_WORDY: Final = re.compile(r"^[A-Za-z]+(?:[_. /:-][A-Za-z]+)*[_.:-]?$")
_FILE_NAME: Final = re.compile(
    r"\.(?:json|ya?ml|pem|key|txt|toml|cfg|ini|env|py|crt|p12|jks|conf)$"
)
_BASE64: Final = re.compile(r"^[A-Za-z0-9+/]{4,400}={0,2}$")
_LOCAL: Final = re.compile(
    r"@(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\]|host\.docker\.internal)\b"
)
_LEAST_RANDOM: Final = 3.0  # bits a character
_LEAST_TOKEN: Final = 16
_LEAST_STRONG: Final = 8
_LEAST_SECRET: Final = 10
_LEAST_QUOTED: Final = 4
_LEAST_BARE: Final = 5
_MOST: Final = 1_000

# Code, in which only a quoted value is one; elsewhere a bare word is.
_CODE: Final = (
    *(
        ".py",
        ".pyw",
        ".ipynb",
        ".js",
        ".ts",
        ".tsx",
        ".jsx",
        ".java",
        ".scala",
        ".kt",
        ".go",
        ".rs",
    ),
    *(
        ".c",
        ".cc",
        ".cpp",
        ".h",
        ".cs",
        ".rb",
        ".php",
        ".r",
        ".sql",
        ".tf",
        ".hcl",
        ".json",
        ".toml",
    ),
    *(".bicep", ".html", ".xml", ".jl", ".lua", ".proto"),
)


@dataclass(frozen=True, slots=True)
class Secret:
    """One credential: where, of what kind, the name it is given to, and the line, masked.

    `certain`: the shape of one vendor's key.  `weak`: a plain word.  `default`: a value that
    everybody tries first, such as admin.  `local`: of a server on this machine.
    """

    path: str
    line: int
    kind: str
    name: str
    masked: str
    certain: bool = False
    weak: bool = False
    default: bool = False
    local: bool = False


@dataclass(frozen=True, slots=True)
class _Reading:
    """How a file is read: words without quotes are values, values are base64, or encrypted.

    `vendors` are those rows of the table of which a word stands in the file at all.
    """

    bare: bool
    encoded: bool = False
    sealed: bool = False
    vendors: tuple[Vendor, ...] = VENDORS


def secrets_in(path: str, text: str) -> list[Secret]:
    """Credentials in a file, in the order of lines, one a line.

    In a notebook the lines are those of the joined code cells, as in `Notebook.lines`.
    """
    if path.lower().endswith(".ipynb"):
        return list(_first(_in_notebook(path, text)))
    wanted, vendors = _wanted(text.lower())
    if not wanted:
        return []
    lines = text.split("\n")
    bare = not path.lower().endswith(_CODE)
    sealed = "SealedSecret" in text or "ENC[AES" in text
    encoded = not sealed and "kind: Secret\n" in text.replace("\r", "")
    how = _Reading(bare, encoded, sealed, vendors)
    return list(_first(_scan(path, lines, wanted, how)))


def _first(found: Iterator[Secret]) -> Iterator[Secret]:
    """Keep one a line, and not more than a file can sensibly have."""
    seen: set[int] = set()
    for secret in found:
        if secret.line not in seen:
            seen.add(secret.line)
            yield secret
        if len(seen) >= _MAX_FOUND:
            return


def _wanted(low: str, *, names: bool = True) -> tuple[list[int], tuple[Vendor, ...]]:
    """Numbers, 0-based, of lines that may hold a secret, and the vendors whose it may be.

    Without `names`, only those that may hold a key of a vendor.
    """
    present = vendors_in(low, digits=True)
    places: set[int] = set()
    for word in present:
        start = low.find(word)
        while start >= 0:
            places.add(start)
            start = low.find(word, start + len(word))
    for stem, pattern in FINDERS if names else ():
        if stem in low:
            places.update(m.start() for m in pattern.finditer(low))
    kinds = {v[2] for vs in present.values() for v in vs}
    return _lines_at(low, sorted(places)), tuple(v for v in VENDORS if v[2] in kinds)


def _lines_at(text: str, places: list[int]) -> list[int]:
    found: dict[int, None] = {}
    line, last = 0, 0
    for place in places:
        line += text.count("\n", last, place)
        last = place
        found[line] = None
    return list(found)


def _scan(path: str, lines: list[str], wanted: list[int], how: _Reading) -> Iterator[Secret]:
    for index in wanted[:_MAX_LINES]:
        line = lines[index][:_MAX_LINE]
        near = "\n".join(x[:200] for x in lines[max(0, index - 3) : index + 3])
        found = _vendor(line, near, how.vendors) or (
            None if how.sealed else _given(lines, index, line, how)
        )
        if found is not None:
            at, secret = found
            yield replace(secret, path=path, line=index + 1 + at)


_Found = tuple[int, Secret]  # lines further down, what


def _vendor(line: str, near: str, vendors: tuple[Vendor, ...] = VENDORS) -> _Found | None:
    low = line.lower()
    for kind, words, pattern in vendors:
        if not any(w in low for w in words):
            continue
        for match in pattern.finditer(line):
            value = match.group(0)
            if kind == _URL:
                secret = _url(line, match)
                if secret is not None:
                    return 0, secret
            elif _is_token(kind, value, near):
                return 0, _made(kind, "", line, value, certain=True)
    return None


def _is_token(kind: str, value: str, near: str) -> bool:
    """Tell a key from a word of the same shape and from an example of a manual."""
    context = _NEEDS_CONTEXT.get(kind)
    if context and context not in near.lower():
        return False
    if _is_fake(value) or any(p in value for p in PUBLIC) or "${" in value or "{{" in value:
        return False
    if kind == "private key":
        return "BEGIN" in value and ("PUBLIC" not in value)
    return any(c.isdigit() for c in value) and any(c.isalpha() for c in value)


def _url(line: str, match: re.Match[str]) -> Secret | None:
    user, _, value = match.group(0).partition(":")
    if _is_reference(value) or not value.strip("*x.") or user.startswith(("<", "$", "{")):
        return None
    if (value.isdigit() and not user) or (value.isupper() and "_" in value):  # a port, a name
        return None
    # `user:password@` and `username:pass@` stand in manuals; `root:root@` in files that run.
    if user.lower() in ("user", "username", "usr", "login", "foo") and value.lower() in (
        *("password", "pass", "passwd", "pwd", "pw", "secret", "bar"),
    ):
        return None
    default = value.lower() in DEFAULTS or value.lower() == user.lower()
    if not default and _is_fake(value):
        return None
    return _made(
        _URL,
        user,
        line,
        value,
        default=default,
        weak=not _is_strong(value),
        local=bool(_LOCAL.search(line, match.end(), match.end() + 40)),
    )


def _made(  # noqa: PLR0913 - one flag each
    kind: str,
    name: str,
    line: str,
    value: str,
    *,
    certain: bool = False,
    weak: bool = False,
    default: bool = False,
    local: bool = False,
) -> Secret:
    masked = " ".join(line.replace(value, MASK).split())[:_SHOWN]
    return Secret("", 0, kind, name[:80], masked, certain, weak, default, local)


# --- values given to names -----------------------------------------------------------------


def _given(lines: list[str], index: int, line: str, how: _Reading) -> _Found | None:
    """Value that a name with a keyword is given, on this line or, as in Kubernetes, below."""
    stripped = line.lstrip()
    if stripped.startswith(("#", "//", "* ", "<!--", ";", "--", "%%")):
        return None
    for name, quote, value in _pairs(line, bare=how.bare):
        secret = _judge(name, quote, _decoded(value) if how.encoded else value, line, value)
        if secret is not None:
            return 0, secret
    named = _NAMED.search(line)
    if named and KEYWORD.search(named.group(1)):
        return _below(named.group(1), lines[index : index + 3], _VALUE)
    variable = _VARIABLE.match(line)
    return _below(variable.group(1), lines[index : index + 8], _DEFAULT) if variable else None


def _below(name: str, lines: list[str], pattern: re.Pattern[str]) -> _Found | None:
    """Value on one of the next lines, before the block closes."""
    for at, line in enumerate(lines):
        if at and (line.startswith("}") or _NAMED.search(line)):
            return None
        match = pattern.search(line[:_MAX_LINE])
        if match and (secret := _judge(name, '"', match.group(2), line)):
            return at, secret
    return None


def _pairs(line: str, *, bare: bool) -> Iterator[tuple[str, str, str]]:
    instruction = _INSTRUCTION.match(line)
    if instruction and "=" not in instruction.group(1):
        if KEYWORD.search(instruction.group(1)):
            yield instruction.group(1), '"', instruction.group(2).strip("\"'")
        return
    for found in _OPTION.finditer(line) if bare else ():
        yield found.group(1), '"', found.group(2)
    low = line.lower()
    if any(w in low for w in _DSN_WORDS):
        for found in _DSN.finditer(line):
            yield "password", '"', found.group(1)
    for keyword in KEYWORD.finditer(line):
        left = _NAME_CHARS.search(line, max(0, keyword.start() - 60), keyword.start())
        right = _REST.match(line, keyword.end())
        start = left.start() if left else keyword.start()
        end = right.end() if right else keyword.end()
        name = line[start:end]
        between = _BETWEEN.match(line, end)
        if between is None or name.endswith("-"):
            continue
        pair = _value_after(line, between, bare=bare)
        if pair is not None:
            yield name, *pair


def _value_after(line: str, between: re.Match[str], *, bare: bool) -> tuple[str, str] | None:
    quote, start = between.group("quote"), between.end()
    if quote:
        end = line.find(quote, start, start + 400)
        after = line[end + len(quote) : end + len(quote) + 2].lstrip()
        # `"x" + y` and `"x" % y` are only a part of a value, `"x".join` is none.
        part = after.startswith(("+", "%", ".", "["))
        return None if end < 0 or part else (quote[-1], line[start:end])
    separator, found = line[between.start() : between.end()], _BARE.match(line, start)
    if not bare or "," in separator or not separator.strip("\"'`] ") or found is None:
        return None
    tail = line[found.end() :].strip()
    # `password: some prose that goes on` is a sentence, `f(x)` a call.
    prose = separator.rstrip().endswith(":") and tail and not tail.startswith(("#", ",", "}"))
    value = found.group(0)
    return None if prose or "(" in value else ("", value if "${" in value else value.rstrip("})"))


def _decoded(value: str) -> str:
    """Text behind the base64 of a Kubernetes secret, or the value itself."""
    if not _BASE64.match(value):
        return value
    try:
        return base64.b64decode(value + "=" * (-len(value) % 4)).decode("utf-8").strip()
    except (binascii.Error, ValueError):
        return value


def _judge(name: str, quote: str, value: str, line: str, shown: str = "") -> Secret | None:
    """Tell whether a value given to a name is a secret, and how well it is chosen."""
    fallback = _FALLBACK.match(value)
    value, low = (fallback.group(1) if fallback else value).strip(), name.lower()
    if not value or " " in value or NO_SECRET_NAME.search(name):
        return None
    shown = shown or value
    password = bool(_PASSWORD.search(name))
    known = password or "secret" in low or "access" in low
    if value.lower() in DEFAULTS or (_OAUTH.search(low) and _is_name_of(name, value)):
        return _made("password", name, line, shown, default=True, weak=True) if known else None
    if _is_reference(value) or _is_fake(value) or _is_name_of(name, value):
        return None
    kind = ""
    if password and len(value) >= (_LEAST_QUOTED if quote else _LEAST_BARE):
        kind = "password"
    elif "secret" in low and _is_strong(value) and len(value) >= _LEAST_SECRET:
        kind = "secret"
    elif len(value) >= _LEAST_TOKEN and _is_random(value):
        kind = "key or token"
    weak = kind == "password" and not _is_strong(value)
    return _made(kind, name, line, shown, weak=weak) if kind else None


def _is_reference(value: str) -> bool:
    """Tell whether a value points to where the secret is: a variable, a file, a vault."""
    return bool(
        len(value) > _MOST
        or HARMLESS.match(value)
        or POINTS.search(value[:300])
        or _UUID.match(value)
        or _FILE_NAME.search(value[-8:])
    )


def _is_fake(value: str) -> bool:
    low = value.lower()
    return any(w in low for w in FAKE) or len(set(low)) <= 2  # noqa: PLR2004


def _is_name_of(name: str, value: str) -> bool:
    """Tell whether a value only repeats its name, or is the name of a field or of a variable."""
    plain = re.sub(r"[^a-z]", "", value.lower())
    if plain and plain == re.sub(r"[^a-z]", "", name.lower()):
        return True
    held = KEYWORD.search(value)
    return bool(held and _WORDY.match(value)) or (value.isupper() and "_" in value)


def _is_strong(value: str) -> bool:
    kinds = (
        any(c.isdigit() for c in value)
        + any(c.islower() for c in value)
        + any(c.isupper() for c in value)
        + any(not c.isalnum() for c in value)
    )
    return len(value) >= _LEAST_STRONG and kinds > 1 and not _WORDY.match(value)


def _is_random(value: str) -> bool:
    if " " in value or _WORDY.match(value) or not any(c.isdigit() for c in value):
        return False
    if not any(c.isalpha() for c in value) or value.count("/") > 3 or "::" in value:  # noqa: PLR2004
        return False
    counts = [value.count(c) / len(value) for c in set(value)]
    return -sum(p * log2(p) for p in counts) >= _LEAST_RANDOM


# --- notebooks -----------------------------------------------------------------------------


def _in_notebook(path: str, text: str) -> Iterator[Secret]:
    """Secrets of the code cells; of stored outputs only those of a certain shape."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError, MemoryError):
        return
    cells = data.get("cells") if isinstance(data, dict) else None
    above = 0
    for cell in cells if isinstance(cells, list) else []:
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = _joined(cell.get("source"))
        if not source.strip():
            continue
        lines = source.split("\n")
        wanted, vendors = _wanted(source.lower())
        # A magic (`%env KEY=value`, `!export KEY=value`) is a shell line, all else is code.
        for bare in (False, True):
            picked = [i for i in wanted if lines[i].lstrip().startswith(("%", "!")) == bare]
            for secret in _scan(path, lines, picked, _Reading(bare, vendors=vendors)):
                yield replace(secret, line=above + secret.line)
        above += len(lines)
        yield from _in_outputs(path, cell.get("outputs"), above)


def _in_outputs(path: str, outputs: object, line: int) -> Iterator[Secret]:
    for output in outputs if isinstance(outputs, list) else []:
        if not isinstance(output, dict):
            continue
        data = output.get("data")
        shown = data.get("text/plain") if isinstance(data, dict) else None
        written = (_joined(output.get("text")) + "\n" + _joined(shown))[:_MAX_OUTPUT]
        wanted, vendors = _wanted(written.lower(), names=False)
        lines = written.split("\n") if wanted else []
        for index in wanted:
            found = _vendor(lines[index][:_MAX_LINE], "", vendors)
            if found is not None and not found[1].default:
                yield replace(found[1], path=path, line=line, kind=f"{found[1].kind} in an output")
                break


def _joined(source: object) -> str:
    if isinstance(source, list):
        return "".join(s for s in source if isinstance(s, str))
    return source if isinstance(source, str) else ""
