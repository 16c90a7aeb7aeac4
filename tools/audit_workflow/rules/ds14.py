"""Serving runs other versions than training

## What it does

Compares the environment that serves a model (its requirements, bentofile, Dockerfile, prebuilt
image) with the one that trains it: pinned versions of machine-learning libraries that differ in
more than the last number, and Python versions of images, platforms, CI and project files that
exclude each other.  Serving images that install tools of training, orchestration and development
are reported as well, and so is code that its image cannot run: syntax newer than the image's
Python, and imports of packages that the environment does not install.

## Why is this bad?

A pickled model of another library version fails to load or, worse, predicts something else.  What
serving does not need makes images large, slow to start and open to more attacks.

## Known problems

Environments are paired by their folders: the nearest one above or beside.  Versions that are not
pinned are not compared.

## Example

```text
# train/requirements.txt
scikit-learn==1.5.1
# serve/requirements.txt
scikit-learn==1.2.2
```

## Use instead

One lock file for both, or a constraint file that both read:

```text
-c ../constraints.txt
scikit-learn
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from posixpath import dirname, normpath
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._python_versions import (
    Stated,
    of_ci,
    of_images,
    of_platforms,
    of_projects,
)
from mlops_advisor.tools.audit_workflow.rules._serving import (
    last_stage,
    serving_images,
    started_near,
)
from mlops_advisor.tools.audit_workflow.rules._supply import Entry, entry, manifests
from mlops_advisor.tools.audit_workflow.rules._supply_commands import parse
from mlops_advisor.tools.audit_workflow.rules._too_new import too_new
from mlops_advisor.tools.audit_workflow.rules._undeclared import undeclared
from mlops_advisor.tools.evidence.parse.shell import Instruction

_LIBRARIES: Final = frozenset(
    "scikit-learn xgboost lightgbm catboost torch tensorflow keras transformers numpy pandas joblib"
    " mlflow onnxruntime onnx spacy statsmodels prophet sentence-transformers pytorch-lightning"
    " cloudpickle scipy torchvision tensorflow-cpu dill skops fastai".split()
)
_PICKLED: Final = frozenset(
    "scikit-learn xgboost lightgbm catboost joblib cloudpickle dill".split()
)
_SERVES: Final = re.compile(
    r"serv|(?:^|[/_.-])(?:api|app|deploy\w{0,8}|inference|predict\w{0,6}|lambda|bento\w{0,6}|web|"
    r"prod|docker|scoring)(?:[/_.-]|$)"
)
_TRAINS: Final = re.compile(
    r"train|(?:^|[/_.-])(?:dev|research|notebooks?|experiments?|pipelines?|model)(?:[/_.-]|$)"
)
_VERSION: Final = re.compile(r"={2,3}\s{0,3}v?(\d{1,6})\.(\d{1,6})(?:\.(\d{1,6}))?")
_PREBUILT: Final = re.compile(
    r"vertex-ai/(?:prediction|training)/(tf\d?|sklearn|scikit-learn|xgboost|"
    r"pytorch)-\w{0,6}[cg]pu\.(\d{1,3})-(\d{1,3})|"
    r"(?:^|/)tensorflow/(serving|tensorflow):(\d{1,3})\.(\d{1,3})|(?:^|"
    r"/)(pytorch)/pytorch:(\d{1,3})\.(\d{1,3})"
)
_NAMED: Final = {
    "tf": "tensorflow",
    "tf2": "tensorflow",
    "tensorflow": "tensorflow",
    "serving": "tensorflow",
    "sklearn": "scikit-learn",
    "scikit-learn": "scikit-learn",
    "xgboost": "xgboost",
    "pytorch": "torch",
}
_BLOAT: Final = re.compile(
    r"^(?:jupyter\w{0,12}|notebook|ipykernel|ipython|nbconvert|apache-airflow\S{0,60}|prefect|"
    r"dagster|kfp|zenml|"
    r"dvc\S{0,12}|cml|optuna|hyperopt|pytest\S{0,30}|tox|coverage|black|flake8|pylint|mypy|ruff|"
    r"isort|"
    r"pre-commit|wandb|tensorboard|seaborn|sphinx|mkdocs\S{0,20}|great-expectations|kedro\S{0,20}|"
    r"ydata-profiling|"
    r"pandas-profiling|papermill|snakemake)$"
)
_REQUIREMENT: Final = re.compile(r"(?:-r|--requirement)[ =]{1,2}([\w./-]{1,200})")
_MANY: Final = 3  # a repository with more environments beside each other is a collection


@rule(
    "DS14",
    name="training-serving-version-skew",
    dimension="deployment",
    severity=HIGH,
    confidence=0.8,
    fix="Install both environments from one lock or constraints file, and load a model in a test"
    " that runs inside the serving image.",
    effort=(0.5, 2.0),
    sources=("sklearn_docs: Model persistence (same environment, InconsistentVersionWarning)",),
)
def training_serving_version_skew(repo: AuditRepository) -> Iterator[Hit]:
    """Report serving environments that differ from training, or carry its tools."""
    yield from _libraries(repo)
    yield from _python(repo)
    yield from _bloat(repo)
    yield from too_new(repo)
    yield from undeclared(repo)


# --- libraries -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Env:
    path: str
    pins: dict[str, tuple[tuple[int, ...], int]]
    serves: bool

    @property
    def folder(self) -> str:
        return dirname(self.path)


def _libraries(repo: AuditRepository) -> Iterator[Hit]:
    envs = [e for e in _environments(repo) if e.pins]
    training = [e for e in envs if not e.serves]
    for env in envs:
        other = _nearest(env, training) if env.serves else None
        if other is None:
            continue
        differ = [
            (name, version, line)
            for name, (version, line) in sorted(env.pins.items(), key=lambda i: i[1][1])
            if name in other.pins and version[:2] != other.pins[name][0][:2]
        ]
        if not differ:
            continue
        words = [
            f"`{name}` {_dots(version)} here, {_dots(other.pins[name][0])} in"
            f" {other.path}:{other.pins[name][1]}"
            for name, version, _ in differ
        ]
        severity = HIGH if any(n in _PICKLED for n, _, _ in differ) else MEDIUM
        yield Hit(
            env.path,
            differ[0][2],
            f"Serving has other versions than training: {'; '.join(words[:4])}.",
            also=tuple((other.path, other.pins[n][1]) for n, _, _ in differ[:4]),
            severity=severity,
        )


def _dots(version: tuple[int, ...]) -> str:
    return ".".join(f"{n}" for n in version)


def _environments(repo: AuditRepository) -> Iterator[_Env]:
    served = _served_files(repo)
    for manifest in manifests(repo):
        if manifest.entries and not manifest.aside:
            pins = _pins(manifest.entries)
            yield _Env(manifest.path, pins, _is_serving(repo, manifest.path, served))
    for path in repo.named("bentofile.yaml", "bentofile.yml"):
        entries = [
            made
            for doc in repo.yaml(path).docs
            for node in doc.list_at("python", "packages")
            if (made := entry(node.text, node.line)) is not None
        ]
        yield _Env(path, _pins(entries), serves=True)
    for path, instructions in repo.dockerfiles.items():
        serves = path in serving_images(repo) or bool(_SERVES.search(path.lower()))
        if serves:
            yield _Env(path, _of_dockerfile(instructions), serves=True)
    for image in repo.images:
        found = _PREBUILT.search(image.ref)
        if found:
            name, major, minor = (g for g in found.groups() if g)
            pins = {_NAMED[name]: ((int(major), int(minor)), image.line)}
            if "training/" not in image.ref:
                yield _Env(image.path, pins, serves=True)


def _pins(entries: tuple[Entry, ...] | list[Entry]) -> dict[str, tuple[tuple[int, ...], int]]:
    found: dict[str, tuple[tuple[int, ...], int]] = {}
    for one in entries:
        match = _VERSION.search(one.spec) if one.name in _LIBRARIES else None
        if match:
            found[one.name] = (tuple(int(g) for g in match.groups() if g), one.line)
    return found


def _of_dockerfile(instructions: list[Instruction]) -> dict[str, tuple[tuple[int, ...], int]]:
    found: dict[str, tuple[tuple[int, ...], int]] = {}
    for item in last_stage(instructions):
        read = parse(item.text) if item.name == "RUN" else None
        if read is not None:
            found.update({n: (v, item.line) for n, (v, _) in _pins(read[0]).items()})
    return found


def _served_files(repo: AuditRepository) -> frozenset[str]:
    """Find requirement files that serving images install."""
    found: set[str] = set()
    for path in serving_images(repo):
        found |= {p for p, _ in _installed(repo, path)}
    return frozenset(found)


def _installed(repo: AuditRepository, path: str) -> Iterator[tuple[str, int]]:
    """Find requirement files that the final stage of a Dockerfile installs, with the line."""
    for item in last_stage(repo.dockerfiles[path]):
        if item.name != "RUN":
            continue
        for match in _REQUIREMENT.finditer(item.text[:4_000]):
            name = match.group(1).rsplit("/", 1)[-1]
            own = normpath(f"{dirname(path)}/{name}").lstrip("/")
            copied = _copied(repo, path, name)
            target = next((p for p in (copied, own, name) if p in repo.files), "")
            if target:
                yield target, item.line
        if re.search(r"\bpipenv (?:install|sync)\b", item.text):
            own = normpath(f"{dirname(path)}/Pipfile").lstrip("/")
            if own in repo.files:
                yield own, item.line


def _copied(repo: AuditRepository, path: str, name: str) -> str:
    """Path that a COPY gives a requirement file, from the folder of the image or the root."""
    for item in repo.dockerfiles[path]:
        words = item.text.split()
        if item.name in ("COPY", "ADD"):
            for word in words[:-1]:
                if word.rsplit("/", 1)[-1] == name and not word.startswith("--"):
                    beside = normpath(f"{dirname(path)}/{word}").lstrip("/")
                    return beside if beside in repo.files else word.removeprefix("./")
    return ""


def _is_serving(repo: AuditRepository, path: str, served: frozenset[str]) -> bool:
    low = path.lower()
    if path in served:
        return not _trains_too(repo, path)
    if _TRAINS.search(low) and not _SERVES.search(low):
        return False
    return bool(_SERVES.search(low)) and not _trains_too(repo, path)


def _trains_too(repo: AuditRepository, path: str) -> bool:
    """Tell whether training code lies beside an environment: then both use it."""
    folder = dirname(path)
    inside = f"{folder}/" if folder else ""
    return any(p.startswith(inside) and dirname(p) == folder for p in repo.code.training)


def _nearest(env: _Env, training: list[_Env]) -> _Env | None:
    """Environment of training that belongs to one that serves, by their folders."""
    mine = env.folder.split("/") if env.folder else []
    above = [
        t
        for t in training
        if t.path != env.path
        and (not t.folder or mine[: len(t.folder.split("/"))] == t.folder.split("/"))
    ]
    if above:
        return max(above, key=lambda t: (len(t.folder), t.path))
    parent = mine[:-1]
    beside = [t for t in training if t.folder and t.folder.split("/")[: len(parent)] == parent]
    beside = [t for t in beside if len(t.folder.split("/")) <= len(mine) + 1]
    if not beside or len({t.folder for t in beside}) > _MANY:
        return None
    return min(beside, key=lambda t: (not _TRAINS.search(t.path.lower()), len(t.folder), t.path))


# --- Python --------------------------------------------------------------------------------


def _python(repo: AuditRepository) -> Iterator[Hit]:
    projects, ci = list(of_projects(repo)), list(of_ci(repo))
    running = [*of_images(repo), *of_platforms(repo)]
    folders = {dirname(r.path) for r in running}
    for one in running:
        others = [p for p in projects if _governs(p.path, one.path) and p.path != one.path]
        others.sort(key=lambda p: -len(dirname(p.path)))
        if len(folders) <= _MANY:
            others += [c for c in ci if _folder_of_ci(c.path) in ("", dirname(one.path))]
        hit = _disagrees(one, others)
        if hit is not None:
            yield hit
    if not running:
        for one in ci:
            here = [p for p in projects if dirname(p.path) == _folder_of_ci(one.path)]
            for other in here:
                if not any(other.allows(v) for v in one.versions):
                    yield _skew(one, other)
                    break


def _governs(project: str, other: str) -> bool:
    folder = dirname(project)
    return not folder or other.startswith(f"{folder}/")


def _folder_of_ci(path: str) -> str:
    return path.partition(".github/")[0].rstrip("/") if ".github/" in path else dirname(path)


def _disagrees(one: Stated, others: list[Stated]) -> Hit | None:
    for other in others:
        if not any(other.allows(v) for v in one.versions):
            return _skew(one, other)
    return None


def _skew(one: Stated, other: Stated) -> Hit:
    return Hit(
        one.path,
        one.line,
        f"Python {one} of {one.what} does not agree with {other} of {other.what}"
        f" ({other.path}:{other.line}): what is tested or trained there is not what runs here.",
        "Name one version in one place (`.python-version`) and use it everywhere.",
        also=((other.path, other.line),),
        severity=MEDIUM,
    )


# --- images with tools that serving does not need --------------------------------------------


def _bloat(repo: AuditRepository) -> Iterator[Hit]:
    for path, (_, text) in serving_images(repo).items():
        code = repo.code.closure(started_near(repo, path, text) & repo.code.modules.keys())
        used = {i.module.partition(".")[0] for p in code for i in repo.code.modules[p].imports}
        names: dict[str, tuple[str, int]] = {}
        line = 0
        for file, at in _installed(repo, path):
            entries = [e for m in manifests(repo) if m.path == file for e in m.entries]
            for one in entries:
                if _BLOAT.match(one.name) and one.name.replace("-", "_") not in used:
                    names[one.name] = (file, one.line)
                    line = line or at
        for item in last_stage(repo.dockerfiles[path]):
            read = parse(item.text) if item.name == "RUN" else None
            for one in read[0] if read is not None else ():
                if _BLOAT.match(one.name) and one.name.replace("-", "_") not in used:
                    names[one.name] = (path, item.line)
                    line = line or item.line
        if len(names) > 1:
            yield Hit(
                path,
                line,
                f"The serving image installs {', '.join(f'`{n}`' for n in sorted(names)[:8])},"
                " which"
                " serving does not import: larger, slower to start, more to attack.",
                "Give serving its own requirements, or a group of the lock without these.",
                also=tuple(sorted(set(names.values())))[:4],
                severity=LOW,
                confidence=0.7,
            )
