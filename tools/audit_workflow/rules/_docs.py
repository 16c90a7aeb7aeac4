"""What rules about documents and about the repository as a whole share."""

from __future__ import annotations

import ast
import re
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.evidence.repository import Repository, shared

_LESSON: Final = re.compile(
    r"^(?:week|lab|labs|lesson|chapter|part|module|day|session|exercise|homework|unit|step|class)"
    r"[-_ ]?\d{1,3}|^\d{1,2}[-_. ]"
)
_LESSONS: Final = 3
_TEACHES: Final = re.compile(
    r"\b(?:course|tutorials?|workshop|bootcamp|zoomcamp|lessons?|homework|curriculum|"
    r"hands-on|series|students?)\b"
)
_TITLE: Final = re.compile(
    r"\b(?:examples|templates?|starters?|cookiecutter|tutorials?|workshop|course|bootcamp|labs|"
    r"zoomcamp)\b"
)
_SITES: Final = (
    "mkdocs.yml", "mkdocs.yaml", "zensical.toml", "docusaurus.config.js", "_config.yml", "hugo.toml"
)  # fmt: skip
_LEARNS: Final = re.compile(r"(?i)tutorial|lesson|chapter|part[-_]?\d|week|example|workshop|guide")
_HEAD_CHARS: Final = 3_000


def source(node: ast.AST | None, limit: int = 300) -> str:
    """Text of a node, shortened; empty for one nested too deeply."""
    try:
        return ast.unparse(node)[:limit] if node is not None else ""
    except RecursionError:
        return ""


def same(one: ast.AST, two: ast.AST) -> bool:
    """Tell whether two nodes read the same."""
    text = source(one, 2_000)
    return bool(text) and text == source(two, 2_000)


def anchor(repo: AuditRepository) -> tuple[str, int]:
    """Where to report what the repository as a whole lacks: its README, else its first code."""
    readmes = [p for p in repo.files if p.rsplit("/", 1)[-1].lower().startswith("readme")]
    if readmes:
        return min(readmes, key=lambda p: (p.count("/"), p)), 1
    return next(iter(repo.code.product), next(iter(repo.files), ".")), 1


def is_template(path: str) -> bool:
    """Tell whether a path is that of a file that a generator fills in."""
    return "{{" in path or "{%" in path


def tells_of_product(repo: AuditRepository, path: str) -> bool:
    """Tell whether a document in `docs/` speaks of the code here, and is no site or tutorial."""
    return path.startswith(("docs/", "doc/")) and not _LEARNS.search(path) and _has_plain_docs(repo)


@shared
def _has_plain_docs(repo: Repository) -> bool:
    if not repo.code.product or repo.named(*_SITES):
        return False
    return not any(p.startswith(("docs/", "doc/")) and p.endswith("conf.py") for p in repo.paths)


def is_course(repo: AuditRepository) -> bool:
    """Tell whether the repository teaches, lesson by lesson: nothing in it is in production."""
    path, _ = anchor(repo)
    title = next((t for d in repo.documents if d.path == path for _, _, t in d.headings[:1]), "")
    if _TITLE.search(title) and "project" not in title:
        return True
    tops = {p.split("/")[0].lower() for p in repo.python if "/" in p}
    tops |= {p.split("/")[1].lower() for p in repo.python if p.count("/") > 1}
    if sum(bool(_LESSON.match(t)) for t in tops) < _LESSONS:
        return False
    return bool(_TEACHES.search(repo.text(path)[:_HEAD_CHARS].lower()))


def product_code(repo: AuditRepository) -> list[str]:
    """Python files of the product: no tests, notebooks, examples or set-up scripts."""
    return [
        p
        for p, m in repo.code.product.items()
        if not m.notebook
        and not repo.is_aside(p)
        and p.rsplit("/", 1)[-1] not in ("setup.py", "__init__.py", "conf.py")
        and (m.functions or m.calls)
    ]


def models_in(repo: AuditRepository, paths: list[str]) -> bool:
    """Tell whether one of some modules trains, serves or scores with a model."""
    code = repo.code
    return any(p in code.training or p in code.serving or p in code.batch for p in paths)


def aside(repo: AuditRepository, path: str) -> bool:
    """Tell whether a file only shows or is filled in: an example, a document, a template."""
    return repo.is_aside(path) or is_template(path)
