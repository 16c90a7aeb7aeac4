"""Ports, endpoints, versions and schedules that documents state otherwise than the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import MEDIUM, Hit
from mlops_advisor.tools.audit_workflow.rules import _docs, _docs_claims, _monitoring_scrape
from mlops_advisor.tools.evidence.parse.markdown import Document
from mlops_advisor.tools.evidence.repository import Repository, shared

_URL: Final = re.compile(
    r"(?:localhost|127\.0\.0\.1|0\.0\.0\.0):(\d{4,5})(/[A-Za-z_][\w/-]{0,80})?"
)
_NUMBER: Final = re.compile(r"(?<!\d)(\d{4,5})(?!\d)")
# Ports that a tool listens on unless told otherwise.
_USUAL: Final = {
    "8000": ("uvicorn", "fastapi", "django", "mkdocs", "http.server", "gunicorn", "ray", "triton"),
    "5000": ("flask", "mlflow", "registry"),
    "8501": ("streamlit", "tensorflow_model_server", "tensorflow/serving"),
    "8888": ("jupyter", "notebook"),
    "4200": ("prefect",),
    "3000": ("bentoml", "grafana", "dagster", "dagit", "node", "react"),
    "8080": (
        "airflow",
        "kubectl",
        "kubeflow",
        "lambda",
        "torchserve",
        "label-studio",
        "port-forward",
    ),
    "9090": ("prometheus", "minio"),
    "6006": ("tensorboard",),
    "8265": ("ray",),
    "7860": ("gradio",),
    "5432": ("postgres",),
    "6379": ("redis",),
    "27017": ("mongo",),
    "4040": ("spark", "ngrok"),
    "9000": ("minio", "seldon"),
    "9001": ("minio",),
    "8081": ("torchserve", "airflow"),
    "6789": ("mage",),
    "8786": ("dask",),
    "8787": ("dask",),
    "9092": ("kafka",),
    "5555": ("flower",),
    "4566": ("localstack",),
    "8237": ("zenml",),
    "4141": ("kedro",),
    "43800": ("aim",),
    "9200": ("elastic",),
    "5601": ("kibana",),
    "8793": ("airflow",),
    "8090": ("kubectl",),
    "7077": ("spark",),
}
_CURLS: Final = ("curl", "http ", "requests.", "wget", "httpie", "post ", "get ")
_OWN_PATHS: Final = (
    "/docs", "/redoc", "/openapi.json", "/metrics", "/health", "/static", "/api", "/ui", "/lab",
    "/tree", "/v1", "/v2", "/2015-03-31", "/invocations", "/ping", "/admin", "/graphql",
    "/seldon", "/ray",
)  # fmt: skip
_PYTHON: Final = re.compile(
    r"\bpython(?:\s{1,2}version)?[\s:*`=>v-]{1,6}(3\.\d{1,2})"
    r"(\s{0,2}\+|\s{1,2}(?:or|and) (?:higher|above|later|newer|up))?",
    re.IGNORECASE,
)
_REQUIRES: Final = re.compile(
    r"(?:requires-python|python_requires)\s{0,3}=\s{0,3}[\"']([^\"'\n]{1,60})[\"']|"
    r"^python\s{0,3}=\s{0,3}[\"']([^\"'\n]{1,60})[\"']",
    re.MULTILINE,
)
_DATA: Final = (".csv", ".lock", ".svg", ".html")
_SMALL_TEXT: Final = 50_000
_PINNED: Final = re.compile(
    r"versions? (?:of|for) (?:all )?(?:the )?(?:dependenc|packages|librar)[a-z]{1,5}[^.\n]{0,30}"
    r"\b(?:specified|pinned|fixed|locked)|dependencies are (?:all )?(?:pinned|locked|fixed)|"
    r"\bpinned (?:dependencies|versions)"
)


def mismatches(repo: AuditRepository) -> Iterator[Hit]:
    """Statements of documents that the code contradicts."""
    for document in _docs_claims.documents(repo):
        if repo.is_aside(document.path) and not _docs.tells_of_product(repo, document.path):
            continue
        yield from _ports(repo, document)
        yield from _python(repo, document)
        yield from _pins(repo, document)


def _pins(repo: AuditRepository, document: Document) -> Iterator[Hit]:
    """Versions of dependencies that are said to be fixed and are not."""
    for sentence in document.sentences:
        low = sentence.text[:400].lower()
        if not _PINNED.search(low) or re.search(
            r"\b(?:not|should|todo|planned|must|please)\b", low
        ):
            continue
        if any(
            repo.named(
                "poetry.lock", "uv.lock", "pipfile.lock", "pdm.lock", "conda-lock.yml", "pixi.lock"
            )
        ):
            return
        loose = [
            r for r in repo.requirements if len(r.names) - r.fixed > 1 and r.path.count("/") == 0
        ]
        if loose:
            first = loose[0]
            yield Hit(
                document.path,
                sentence.line,
                f"This says that versions are fixed, and `{first.path}` fixes {first.fixed} of "
                f"{len(first.names)}.",
                "Fix the versions (`uv pip compile`), or correct the sentence.",
                also=((first.path, first.loose_line or 1),),
                severity=MEDIUM,
                confidence=0.85,
            )
        return


@shared
def _ports_in_files(repo: Repository) -> frozenset[str]:
    """Every number of four or five digits in files that are no documents."""
    documents = {d.path for d in repo.documents}
    found: set[str] = set()
    for path in repo.files:
        large = path.endswith((".json", ".ipynb")) and len(repo.text(path)) > _SMALL_TEXT
        if path in documents or path.endswith(_DATA) or large:
            continue
        found.update(_NUMBER.findall(repo.text(path)[:200_000]))
    return frozenset(found)


def _ports(repo: AuditRepository, document: Document) -> Iterator[Hit]:
    text = repo.text(document.path)
    lines = repo.lines(document.path)
    listening = _listening(repo)
    routes = _routes(repo)
    told: set[str] = set()
    for number, line in enumerate(lines[:5_000], 1):
        for port, path in _URL.findall(line[:1_000]):
            if port not in told and listening and _unknown(repo, port, text):
                told.add(port)
                have = ", ".join(sorted(listening)[:4])
                yield Hit(
                    document.path,
                    number,
                    f"This names port {port}, and nothing here listens on it; the code and the "
                    f"containers use {have}.",
                    "State the port that the service listens on.",
                    severity=MEDIUM,
                    confidence=0.75,
                )
            elif path and routes and path not in told and port in listening:
                plain = path.rstrip("/")
                sends = any(w in line.lower() for w in _CURLS) or "predict" in plain
                if sends and not plain.startswith(_OWN_PATHS) and not _served(plain, routes):
                    told.add(path)
                    have = ", ".join(f"`{r}`" for r in sorted(routes)[:4])
                    yield Hit(
                        document.path,
                        number,
                        f"This calls `{plain}`, which no code here serves; there are {have}.",
                        "State the endpoint that exists.",
                        severity=MEDIUM,
                        confidence=0.75,
                    )


def _unknown(repo: AuditRepository, port: str, text: str) -> bool:
    """Tell whether a port is neither in a file, nor set in the document, nor a tool's own."""
    if port in _ports_in_files(repo):
        return False
    if re.search(
        rf"(?:-p|--port|--publish)[= ]{{1,2}}(?:[\d.]{{1,20}}:)?{port}\b|\b{port}:\d{{2,5}}|"
        rf"-L\s?{port}",
        text,
    ):
        return False
    low = text.lower()
    if any(tool in low for tool in _USUAL.get(port, ())):
        return False
    code = _lowered(repo)
    return not any(tool in code for tool in _USUAL.get(port, ()))


@shared
def _lowered(repo: Repository) -> frozenset[str]:
    """Collect packages that code imports and words of commands, lower case."""
    found: set[str] = set()
    for module in repo.code.modules.values():
        found |= {r.lower() for r in module.roots}
    for run in repo.runs.everything:
        found |= {w.lower() for w in run.text[:300].split()}
    for requirement in repo.requirements:
        found |= set(requirement.names)
    return frozenset(found)


@shared
def _listening(repo: Repository) -> frozenset[str]:
    """Ports that services of this repository listen on, as far as files say."""
    found: set[str] = set()
    for item in (i for instructions in repo.dockerfiles.values() for i in instructions):
        if item.name == "EXPOSE":
            found.update(_NUMBER.findall(item.text[:200]))
        elif item.name in ("CMD", "ENTRYPOINT"):
            found.update(re.findall(r"(?:port[= ]{1,2}|:)(\d{4,5})\b", item.text[:600]))
    services = (s for f in repo.compose for d in f.docs for _, s in d.pairs("services"))
    for node in (n for s in services for n in s.list_at("ports")):
        found.update(_NUMBER.findall(node.text[:80]))
    for module in repo.code.product.values():
        for call in module.calls:
            value = call.kwargs.get("port") if call.kwargs else None
            if isinstance(value, int) and call.last in ("run", "serve", "launch"):
                found.add(f"{value}")
    return frozenset(found)


@shared
def _routes(repo: Repository) -> frozenset[str]:
    """Paths that the services of this repository serve."""
    modules = frozenset(repo.code.serving_code)
    found = frozenset(r for r in _monitoring_scrape.metric_routes(repo, modules) if r != "/")
    mounted = any(
        c.last in ("include_router", "register_blueprint", "mount", "APIRouter", "add_resource")
        for p in modules
        for c in repo.code.modules[p].calls
    )
    return frozenset() if mounted else found


def _served(path: str, routes: frozenset[str]) -> bool:
    return any(
        path == r or path.startswith(f"{r}/") or ("{" in r and path.startswith(r.partition("{")[0]))
        or ("<" in r and path.startswith(r.partition("<")[0]))
        for r in routes
    )  # fmt: skip


def _python(repo: AuditRepository, document: Document) -> Iterator[Hit]:
    """Report a version of Python that the settings of the package exclude."""
    if document.path.count("/") or not document.path.lower().startswith("readme"):
        return
    low, high, place = _bounds(repo)
    if not place:
        return
    for sentence in document.sentences:
        found = _PYTHON.search(sentence.text[:600])
        if found is None or re.search(
            r"\b(?:tested|from|between|through)\b|3\.\d{1,2}\s{0,2}[,/-]", sentence.text.lower()
        ):
            continue
        stated = int(found.group(1).partition(".")[2])
        if stated < low or (high and stated >= high and not found.group(2)):
            path, line = place
            yield Hit(
                document.path,
                sentence.line,
                f"This asks for Python {found.group(1)}, and `{path}` allows "
                f"{f'3.{low} and above' if not high else f'3.{low} up to below 3.{high}'}.",
                "State the version that the package asks for.",
                also=((path, line),),
                severity=MEDIUM,
                confidence=0.8,
            )
            return


def _bounds(repo: AuditRepository) -> tuple[int, int, tuple[str, int] | None]:
    """Lowest minor version allowed, the first one not allowed (0: none), and their place."""
    for path in ("pyproject.toml", "setup.py", "setup.cfg"):
        text = repo.text(path)
        found = _REQUIRES.search(text)
        if found is None:
            continue
        spec = found.group(1) or found.group(2)
        line = text.count("\n", 0, found.start()) + 1
        least = re.search(r"(?:>=|\^|~=?|==)\s{0,2}3\.(\d{1,2})", spec) or re.match(
            r"3\.(\d{1,2})", spec
        )
        below = re.search(r"<\s{0,2}3\.(\d{1,2})", spec)
        if least is not None:
            return int(least.group(1)), int(below.group(1)) if below else 0, (path, line)
    return 0, 0, None
