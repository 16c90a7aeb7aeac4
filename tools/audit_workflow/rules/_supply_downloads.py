"""Programs that are downloaded and installed, and whether anything checks what arrived."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.rules._supply_commands import Tool
from mlops_advisor.tools.audit_workflow.rules._supply_written import written
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.repository import Repository

_GETS: Final = re.compile(
    r"\b(?:curl|wget)\b(?P<flags>[^\n|;&]{0,500}?)[\"']?(?P<url>https?://[^\s'\"|;&)<>]{4,400})"
    r"(?P<rest>[^\n|;&]{0,300})"
)
_NAMED: Final = re.compile(
    r"(?:\s-[a-zA-Z]{0,6}[oO]|--output(?:-document)?|>)[ =]{0,2}[\"']?"
    r"([^\s'\"|;&<>-][^\s'\"|;&<>]{0,200})"
)
_CHECKED: Final = re.compile(
    r"sha\d{1,3}sum|shasum|md5sum|gpg\b.{0,80}--verify|gpgv|cosign|minisign|--checksum|openssl dgst"
    r"|attestation verify|slsa-verifier|checksum|signify"
)
_PLACES: Final = r"(?:/usr|/opt|/bin|~/bin|~/\.local|\$HOME|\$\{?GITHUB_PATH|[\w.]{0,20}/bin)"
_UNPACKS: Final = re.compile(r"\b(?:tar|unzip|gunzip|7z|bsdtar)\b")
_PUTS: Final = re.compile(
    rf"\b(?:mv|cp|install|ln)\b.{{0,300}}{_PLACES}|(?:-C|-d|--directory)[ =]{{0,2}}{_PLACES}"
    r"|\./\S{0,80}(?:install|configure)|setup\.py install|make install"
    r"|chmod\s{1,4}(?:a?\+x|[0-7]{0,3}7)"
    r"|>>\s{0,3}[\"']?\$\{?GITHUB_PATH"
)
_VERSION: Final = re.compile(r"\d+\.\d+|[0-9a-f]{40}|\$\{?\w{0,40}(?:VERSION|TAG|version|_VER)")
_ENDS: Final = re.compile(r"(?:\.(?:tar|tgz|gz|xz|bz2|zip|deb|rpm|sh|py|run|bin|AppImage))+$")
_PROGRAM: Final = re.compile(
    r"(?i)linux|amd64|x86_64|aarch64|[-_]bin[-_.]|openjdk|awscli|/releases/(?:latest/)?download/"
)
_NEAR: Final = 10
_FIX: Final = (
    'Check it before use: `echo "<sha256>  <file>" | sha256sum -c -`, or install a pinned package.'
)


def unchecked_downloads(repo: Repository) -> Iterator[Tool]:
    """Report each download that is installed or run, with nothing that checks its content."""
    for group in _groups(repo):
        if not any("curl" in t or "wget" in t for _, _, t in group):
            continue
        for at, (path, line, text) in enumerate(group):
            after = [t for p, _, t in group[at + 1 : at + 1 + _NEAR] if p == path]
            for found in _GETS.finditer(text[:6_000]):
                tail = "\n".join((text[found.start() : 6_000], *after))
                url = found.group("url")
                if not _CHECKED.search(tail) and _installed(found, text[found.end() : 6_000], tail):
                    yield Tool(
                        path,
                        line,
                        f"`{url[:120]}` is downloaded and installed, and nothing checks that it is "
                        "the file that was published.",
                        _FIX,
                        fixed=bool(_VERSION.search(url)),
                    )
                    break
    for path, instructions in repo.dockerfiles.items():
        for item in instructions:
            if item.name == "ADD" and "--checksum" not in item.text and not is_test_path(path):
                url = re.search(r"https?://\S{4,300}", item.text)
                if url and _ENDS.search(url.group(0)):
                    why = f"`{url.group(0)[:120]}` is added to the image without a checksum."
                    fix = "Write `ADD --checksum=sha256:<sum> <address> <target>`."
                    yield Tool(path, item.line, why, fix, bool(_VERSION.search(url.group(0))))


def _groups(repo: Repository) -> Iterator[list[tuple[str, int, str]]]:
    """Commands that run one after the other: those of one job, image, script or recipe."""
    groups: dict[tuple[str, str], list[tuple[str, int, str]]] = {}
    seen: set[tuple[str, int]] = set()
    for run in repo.runs.everything:
        if run.source in ("k8s", "compose", "pipeline", "dvc") or is_test_path(run.path):
            continue
        if (run.path, run.line) in seen:
            continue
        seen.add((run.path, run.line))
        name = run.job.name if run.job is not None else run.source
        groups.setdefault((run.path, name), []).append((run.path, run.line, run.text))
    for path, line, _, text in written(repo):
        groups.setdefault((path, ""), []).append((path, line, text))
    yield from groups.values()


def _installed(found: re.Match[str], rest: str, tail: str) -> bool:
    """Tell whether what arrives is installed or run: by its name, or through a pipe."""
    piped = rest.lstrip()[:300]
    if piped.startswith("|") and not piped.startswith("||"):
        first = piped[1:].split("|")[0]
        if "dpkg" in first or "apt-key" in first:
            return True
        return bool(_UNPACKS.search(first) and _PUTS.search(tail[:3_000]))
    named = _NAMED.search(f" {found.group('flags')} ") or _NAMED.search(f" {found.group('rest')} ")
    name = named.group(1) if named else found.group("url").partition("?")[0]
    name = name.rstrip("/").rsplit("/", 1)[-1]
    if len(name) < 2 or name.startswith("$"):  # noqa: PLR2004 - too short to tell it from others
        return False
    below = tail[len(found.group(0)) :]
    stem = _ENDS.sub("", name)
    whole, part = re.escape(name), re.escape(stem) if len(stem) > 1 else re.escape(name)
    runs = re.compile(
        rf"\b(?:dpkg|rpm)\b[^\n]{{0,60}}\s-\w{{0,5}}[iUE]\w{{0,3}}\b[^\n]{{0,200}}{whole}"
        rf"|\b(?:apt|apt-get|yum|dnf)\b[^\n]{{0,80}}\binstall\b[^\n]{{0,200}}{whole}"
        rf"|\bchmod\s{{1,4}}(?:[ugoa]{{0,4}}\+r?x|[0-7]{{0,2}}[1357][0-7]?[0-7]?)[^\n]{{0,200}}{part}"
        rf"|\b(?:bash|sh|zsh)\s[^\n|;&]{{0,100}}{whole}|\bpython3?\s{{1,3}}\S{{0,100}}{whole}"
        rf"|\b(?:mv|cp|install)\s[^\n;&]{{0,200}}{part}[^\n;&]{{0,100}}\s\S{{0,60}}bin\b"
    )
    if runs.search(below[:6_000]):
        return True
    unpacks = re.search(
        rf"\b(?:tar|unzip|gunzip|bsdtar)\b[^\n|;&]{{0,200}}{whole}[^\n;&]{{0,100}}", below[:6_000]
    )
    if unpacks and _PROGRAM.search(found.group("url")):
        return True
    return bool(unpacks and _PUTS.search(below[unpacks.start() : unpacks.start() + 1_500]))
