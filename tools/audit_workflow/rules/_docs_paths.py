"""Files, commands, targets and badges that documents name and the repository does not hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules import _docs, _docs_claims
from mlops_advisor.tools.evidence.parse.markdown import Document
from mlops_advisor.tools.evidence.repository import Repository, shared

_BRANCH: Final = re.compile(r"^([\s│|]{0,120})[├└|+`]──?─?\s{0,2}(\S.{0,300})$")
_NOTE: Final = re.compile(r"<-|#|→|:\s|\s-\s|\s\(|\s{2}")
_PLACE: Final = re.compile(
    r"[<>*{}$%…]|\.\.\.|your|path/to|xxx|example|foo|<|my_|\bname\b", re.IGNORECASE
)
_RUNTIME: Final = frozenset(
    "data models model logs log outputs output mlruns artifacts reports report env venv .env "
    ".venv wandb checkpoints"
    " runs cache .cache tmp temp build dist raw processed interim external figures images "
    "assets results weights"
    " saved_models trained_models datasets dataset plots node_modules __pycache__ .git .dvc "
    "lightning_logs multirun"
    " static screenshots img media pics docs notebooks references etc predictions metrics "
    "features vectorizers".split()
)
_TEXTS: Final = (".txt", ".md", ".lock")
_CODE: Final = (
    ".py",
    ".ipynb",
    ".yml",
    ".yaml",
    ".toml",
    ".sh",
    ".tf",
    ".sql",
    ".cfg",
    ".ini",
    ".r",
)
_NAMED: Final = ("dockerfile", "makefile", "jenkinsfile", "pipfile", "procfile", "mlproject")
_LINK: Final = re.compile(
    r"(!?)\[[^\]\n]{0,300}\]\(\s{0,2}<?([^)\s>]{1,300})>?(?:\s[^)]{0,120})?\)"
)
_INLINE: Final = re.compile(r"`([^`\n]{3,200})`")
_PROMPT: Final = re.compile(r"^\s{0,8}(?:[$>%]|\(\w{1,20}\)\s?\$|PS>|C:\\>)\s{1,3}")
_RUNS: Final = re.compile(
    r"(?:^|[;&|]\s{0,3}|\brun\s{1,3})(?:[A-Z_]{2,30}=\S{1,80}\s{1,3}){0,3}(?:sudo\s{1,2})?"
    r"(?:python[\d.]{0,4}|bash|sh|source|streamlit run|papermill|jupyter \w{1,12}|torchrun|"
    r"chmod \+x|spark-submit|"
    r"prefect deploy|docker[- ]compose -f|docker build -f|docker build [^;&|]{0,80}? -f|"
    r"pip[\d.]{0,3} install -r|"
    r"conda env create -f|conda env create --file|kubectl (?:apply|create) -f|locust -f)"
    r"\s{1,3}(?:-[uOB]\s{1,2}|-W\S{0,20}\s{1,2})?[\"']?([\w./\\~-]{1,200}\.[A-Za-z]{1,12})\b"
)
_DIRECT: Final = re.compile(r"^(?:\./)([\w./-]{1,200}\.(?:sh|py))\b")
_MAKE: Final = re.compile(
    r"^(?:sudo\s{1,2})?make\s{1,3}([A-Za-z][\w.-]{0,60})(?=\s|$)(?!\s{0,2}[=:])"
)
_MODULE: Final = re.compile(
    r"^(?:\S{1,30}\s{1,2}run\s{1,2})?python[\d.]{0,4}\s{1,3}-m\s{1,3}([A-Za-z_][\w.]{2,100})"
)
_WORKFLOW: Final = re.compile(
    r"(?:actions/)?workflows/([\w.-]{1,100}\.ya?ml)/badge|actions/workflow/status/[^/\s]{1,80}/[^/\s]{1,80}/([\w.-]{1,100}\.ya?ml)"
)
_BADGES: Final = (
    ("travis-ci", (".travis.yml", ".travis.yaml"), "Travis"),
    ("circleci.com/gh", (".circleci/config.yml",), "CircleCI"),
    ("ci.appveyor.com", ("appveyor.yml", ".appveyor.yml"), "AppVeyor"),
)
_CREATES: Final = (
    r"(?:touch|>|cp|mv|nano|vim|creat\w{0,4}|sav\w{0,3}|wget|curl|download\w{0,3}|"
    r"generat\w{0,4}|renam\w{0,3}|call(?:ed)?|writ\w{1,4}|add|cat|produc\w{1,3}|output)"
)
_MIN_TREE: Final = 5
_MAX_HITS: Final = 10


def missing(repo: AuditRepository) -> Iterator[Hit]:
    """Find what documents name and the repository does not hold."""
    for document in _docs_claims.documents(repo):
        name = document.path.rsplit("/", 1)[-1].lower()
        if _docs.tells_of_product(repo, document.path):
            found = [*_commands(repo, document), *_named(repo, document)]
        elif (name.startswith("readme") or "/" not in document.path) and not repo.is_aside(
            document.path
        ):
            found = [
                *_trees(repo, document),
                *_links(repo, document),
                *_commands(repo, document),
                *_named(repo, document),
                *_badges(repo, document),
            ]
        else:
            continue
        yield from sorted(found, key=lambda h: h.line)[:_MAX_HITS]


# --- what is there ------------------------------------------------------------------------------


@shared
def _known(repo: Repository) -> frozenset[str]:
    """Every path and folder, and each of their ends, lower case."""
    found: set[str] = set()
    for path in repo.paths:
        parts = path.rstrip("/").lower().split("/")
        for end in range(1, len(parts) + 1):
            for start in range(max(0, end - 5), end):
                found.add("/".join(parts[start:end]))
    return frozenset(found)


def _here(repo: Repository, name: str) -> bool:
    parts = [p for p in name.replace("\\", "/").lower().split("/") if p not in ("", ".", "..")]
    return not parts or "/".join(parts[-5:]) in _known(repo)


def _ignored(repo: Repository, name: str) -> bool:
    last = name.rstrip("/").rsplit("/", 1)[-1]
    return any(
        last in repo.text(p) or f"*.{last.rpartition('.')[2]}\n" in repo.text(p)
        for p in repo.named(".gitignore", ".dockerignore")
    )


# --- trees --------------------------------------------------------------------------------------


def _trees(repo: AuditRepository, document: Document) -> Iterator[Hit]:
    """Entries of drawn folder trees, one finding a tree."""
    block: list[tuple[int, int, str]] = []
    lines = [*repo.lines(document.path)[:5_000], ""]
    gap = 0
    for number, line in enumerate(lines, 1):
        found = _BRANCH.match(line[:600])
        if found:
            gap = 0
            block.append(
                (number, len(found.group(1)), _NOTE.split(found.group(2))[0].strip().strip("`*"))
            )
        elif block and (gap > 1 or line.strip().startswith("```")):
            hit = _tree(repo, document.path, block)
            if hit is not None:
                yield hit
            block, gap = [], 0
        elif block and not any(c in line for c in "│├└"):
            gap += 1
    if block and (hit := _tree(repo, document.path, block)) is not None:
        yield hit


def _tree(repo: AuditRepository, path: str, block: list[tuple[int, int, str]]) -> Hit | None:
    above: list[tuple[int, str]] = []
    absent: list[tuple[int, str]] = []
    there = 0
    lost: int | None = None
    for number, depth, raw in block:
        name = raw.split("  ")[0].strip().rstrip("/").split(" ")[0]
        above = [(d, n) for d, n in above if d < depth]
        if lost is not None and depth > lost:
            continue
        lost = None
        full = "/".join([*(n for _, n in above), name])
        above.append((depth, name))
        if not name or _PLACE.search(name):
            continue
        if _here(repo, full) or _here(repo, "/".join(full.split("/")[1:]) if above[:-1] else full):
            there += 1
            continue
        lost = depth
        if _expected(name) and not _ignored(repo, name):
            absent.append((number, full))
    if not absent or there < max(len(absent) // 2, 1) or there + len(absent) < _MIN_TREE:
        return None
    names = ", ".join(f"`{n}`" for _, n in absent[:5])
    more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""  # noqa: PLR2004
    return Hit(
        path,
        absent[0][0],
        f"The folder tree shows {names}{more}, which {'does' if len(absent) == 1 else 'do'} not "
        "exist.",
        "Correct the tree, or leave it to `tree -L 2`.",
        also=tuple((path, n) for n, _ in absent[1:5]),
        severity=MEDIUM,
        confidence=0.8,
    )


def _expected(name: str) -> bool:
    """Tell whether an entry would be in git: code, settings, folders that no run makes."""
    low = name.lower()
    if low in _RUNTIME or low.startswith((".env", ".git", "license")):
        return False
    if "." in low.lstrip("."):
        return low.endswith((*_CODE, *_TEXTS)) or low in _NAMED
    return True


# --- links --------------------------------------------------------------------------------------


def _links(repo: AuditRepository, document: Document) -> Iterator[Hit]:
    folder = document.path.rpartition("/")[0]
    seen: set[str] = set()
    fenced = False
    for number, line in enumerate(repo.lines(document.path)[:5_000], 1):
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        if fenced or "](" not in line:
            continue
        for image, target in _LINK.findall(line[:2_000]):
            plain = target.partition("#")[0].partition("?")[0].replace("%20", " ")
            if (
                image
                or not plain
                or re.match(r"[a-z][a-z0-9+.-]{1,20}:|//|\.\./\.\./", plain, re.IGNORECASE)
            ):
                continue
            if (
                plain in seen
                or _PLACE.search(plain)
                or "@" in plain
                or "." not in plain.rsplit("/", 1)[-1]
            ):
                continue
            seen.add(plain)
            if _resolves(repo, folder, plain) or _here(repo, plain):
                continue
            if re.match(r"^[\w-]{1,40}\.(?:com|org|io|ai|dev|net)(?:/|$)", plain):
                continue
            yield Hit(
                document.path,
                number,
                f"The link points to `{plain[:100]}`, which does not exist.",
                "Correct the link, or add the file.",
                severity=LOW,
                confidence=0.85,
            )


def _resolves(repo: AuditRepository, folder: str, target: str) -> bool:
    parts: list[str] = [] if target.startswith("/") else [p for p in folder.split("/") if p]
    for part in target.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    path = "/".join(parts)
    return path in repo.paths or any(p.startswith(f"{path}/") for p in repo.paths)


# --- commands -----------------------------------------------------------------------------------


def _commands(repo: AuditRepository, document: Document) -> Iterator[Hit]:
    text = repo.text(document.path)
    if text.count("git clone") > 1 or "cookiecutter " in text:
        return  # some commands run in another repository
    moves = bool(re.search(r"\bcd\s{1,3}\S", text))
    seen: set[str] = set()
    for number, command in _code_lines(repo, document):
        for name in _files(command):
            if name in seen:
                continue
            seen.add(name)
            if _lacks(repo, name, moves=moves) and not _made(text, name):
                yield Hit(
                    document.path,
                    number,
                    f"`{command.strip()[:80]}` cannot run: `{name}` does not exist.",
                    "Correct the path, or add the file.",
                    severity=MEDIUM,
                    confidence=0.85,
                )
        hit = _target(repo, document.path, number, command, seen)
        if hit is not None:
            yield hit


def _named(repo: AuditRepository, document: Document) -> Iterator[Hit]:
    """Files that a sentence names in backticks."""
    text = repo.text(document.path)
    seen: set[str] = set()
    for sentence in document.sentences:
        for name in _INLINE.findall(sentence.text[:2_000]):
            plain = name.removeprefix("./")
            if (
                plain in seen
                or "/" not in plain
                or not plain.lower().endswith(_CODE)
                or " " in plain
            ):
                continue
            seen.add(plain)
            if plain.startswith(("/", "~", "..")) or _PLACE.search(plain) or _here(repo, plain):
                continue
            parts = plain.lower().split("/")
            if parts[0] in _RUNTIME or _ignored(repo, plain) or _made(text, plain):
                continue
            yield Hit(
                document.path,
                sentence.line,
                f"This speaks of `{plain[:100]}`, which does not exist.",
                "Correct the path, or add the file.",
                severity=MEDIUM,
                confidence=0.8,
            )


def _code_lines(repo: AuditRepository, document: Document) -> Iterator[tuple[int, str]]:
    """Commands in blocks, indented or not, and in backticks."""
    fenced = {n for n, _ in document.code}
    for number, line in document.code:
        yield number, _PROMPT.sub("", line)
    for number, line in enumerate(repo.lines(document.path)[:5_000], 1):
        if number in fenced:
            continue
        if line.startswith(("    ", "\t")) and _PROMPT.match(line):
            yield number, _PROMPT.sub("", line)
        for inline in _INLINE.findall(line[:2_000]):
            if " " in inline:
                yield number, _PROMPT.sub("", inline)


def _files(command: str) -> Iterator[str]:
    bare = command.strip()[:600]
    for name in _RUNS.findall(bare):
        yield name.replace("\\", "/").removeprefix("./")
    found = _DIRECT.match(bare)
    if found:
        yield found.group(1)


def _lacks(repo: AuditRepository, name: str, *, moves: bool) -> bool:
    """Tell whether a file named in a command is nowhere."""
    low = name.lower()
    if name.startswith(("/", "~")) or _PLACE.search(name) or ".." in name or "activate" in low:
        return False
    if not (low.endswith((*_CODE, ".txt", ".json")) and "/." not in low):
        return False
    if _here(repo, name) or any(part in ("venv", "env", ".venv", "bin") for part in low.split("/")):
        return False
    last = low.rsplit("/", 1)[-1]
    elsewhere = last in _known(repo)
    if elsewhere and (moves and "/" not in name):
        return False
    if elsewhere and moves and not name.startswith("."):
        return False
    return not _ignored(repo, last)


def _made(text: str, name: str) -> bool:
    """Tell whether the document itself tells to make the file."""
    last = re.escape(name.rsplit("/", 1)[-1])
    return bool(re.search(rf"(?i){_CREATES}[^\n]{{0,80}}{last}", text[:200_000]))


def _target(
    repo: AuditRepository, path: str, number: int, command: str, seen: set[str]
) -> Hit | None:
    found = _MAKE.match(command.strip()[:300])
    if found is None or f"make {found.group(1)}" in seen:
        return None
    name = found.group(1)
    seen.add(f"make {name}")
    targets = {t for f in repo.makefiles.values() for t in f}
    texts = "".join(repo.text(p) for p in repo.makefiles)
    if (
        name in targets
        or "%" in texts
        or "include " in texts
        or name in ("sure", "it", "the", "changes", "a")
    ):
        return None
    if not repo.makefiles and any(p.lower().endswith("makefile") for p in repo.paths):
        return None
    why = f"no Makefile has a target `{name}`" if repo.makefiles else "there is no Makefile"
    return Hit(
        path,
        number,
        f"`make {name}` cannot run: {why}.",
        "Correct the command, or add the target.",
        severity=MEDIUM,
        confidence=0.9,
    )


def _badges(repo: AuditRepository, document: Document) -> Iterator[Hit]:
    known = {p.rsplit("/", 1)[-1] for p in repo.paths if "workflows/" in p}
    for number, line in enumerate(repo.lines(document.path)[:200], 1):
        for one, two in _WORKFLOW.findall(line[:4_000]):
            if (one or two) not in known:
                yield _badge(
                    document.path, number, f"a workflow `{one or two}` that does not exist"
                )
        for mark, files, name in _BADGES:
            if (
                mark in line
                and "badge" in line + "svg"
                and not any(f in repo.paths for f in files)
                and (".svg" in line or "badge" in line)
            ):
                yield _badge(document.path, number, f"{name}, and no file sets {name} up")
        shown = "codecov.io" in line and ("svg" in line or "badge" in line)
        if shown and not any("cov" in repo.text(p).lower() for p in repo.ci_paths):
            yield _badge(document.path, number, "Codecov, and no CI job measures coverage")


def _badge(path: str, line: int, what: str) -> Hit:
    why = f"The badge speaks of {what}: it shows nothing, or something old."
    return Hit(
        path,
        line,
        why,
        "Remove the badge, or set up what it shows.",
        severity=MEDIUM,
        confidence=0.85,
    )
