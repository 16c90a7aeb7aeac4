"""Runtime past its end of life

## What it does

Compares versions of base images, databases, framework images of clouds, Python, function
runtimes, hosted runners and GitHub's own actions with the day on which their makers stop fixing
security holes.  The table has a date and a source for each product.

## Why is this bad?

Holes found after that day stay open, and libraries stop publishing for the old version, so that
the next upgrade becomes several at once.

## Known problems

Paid extensions of support are not known.  For Debian the end of long-term support counts.  A
lower end alone (`requires-python = ">=3.8"`) forces nobody to the old version and is not
reported.  What ended within the last month is not reported, within half a year with low severity.

## Example

```dockerfile
FROM python:3.7-slim-buster
```

## Use instead

```dockerfile
FROM python:3.13-slim-trixie
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._supply import manifests
from mlops_advisor.tools.audit_workflow.rules._supply_life import Ended, ended
from mlops_advisor.tools.audit_workflow.rules._supply_python import plain, wanted_pythons
from mlops_advisor.tools.audit_workflow.rules._supply_workflows import workflows
from mlops_advisor.tools.evidence.code import is_test_path
from mlops_advisor.tools.evidence.images import Image
from mlops_advisor.tools.evidence.view import View, last

_PRODUCTS: Final = {
    "python": "python",
    "pypy": "python",
    "debian": "debian",
    "ubuntu": "ubuntu",
    "alpine": "alpine",
    "centos": "centos",
    "amazonlinux": "amazon_linux",
    "node": "node",
    "postgres": "postgres",
    "postgresql": "postgres",
    "mysql": "mysql",
    "mariadb": "mariadb",
    "mongo": "mongo",
    "redis": "redis",
    "elasticsearch": "elasticsearch",
    "airflow": "airflow",
    "ap-airflow": "airflow",
    "spark": "spark",
    "pyspark": "spark",
    "golang": "go",
    "openjdk": "openjdk",
    "sagemaker-scikit-learn": "sagemaker_sklearn",
    "sagemaker-xgboost": "sagemaker_xgboost",
    "pytorch-training": "dlc_pytorch",
    "pytorch-inference": "dlc_pytorch",
    "tensorflow-training": "dlc_tensorflow",
    "tensorflow-inference": "dlc_tensorflow",
}
_FRAMEWORKS: Final = frozenset(
    ("airflow", "spark", "sagemaker_sklearn", "sagemaker_xgboost", "dlc_pytorch", "dlc_tensorflow")
)
_CODE_NAMES: Final = re.compile(
    r"(?:^|[-._])(stretch|buster|bullseye|bookworm|jessie|xenial|bionic|focal|trusty)(?:$|[-._])"
)
_UBUNTU: Final = re.compile(r"ubuntu-?(\d{2}\.\d{2})")
_ALPINE: Final = re.compile(r"alpine(\d\.\d{1,2})")
_PYTHON: Final = re.compile(r"(?:^|[-._:])(?:python-?|py)(\d\.\d{1,2}|[23]\d{1,2})(?:$|[-._])")
_VERTEX: Final = re.compile(
    r"vertex-ai/(?:training|prediction)/tf2?-(?:cpu|gpu|tpu)\.(\d)-(\d{1,2})"
)
_NUMBER: Final = re.compile(r"^v?\d{1,4}(?:\.\d{1,4}){0,3}")
_LAMBDA: Final = re.compile(r"(?:^|/)(?:aws-lambda|lambda/)(?:-)?(python|nodejs)$")
_DEBIAN_NAMES: Final = ("stretch", "buster", "bullseye", "bookworm", "jessie")
_ESTIMATORS: Final = {
    "SKLearn": "sagemaker_sklearn",
    "SKLearnModel": "sagemaker_sklearn",
    "SKLearnProcessor": "sagemaker_sklearn",
    "XGBoost": "sagemaker_xgboost",
    "XGBoostModel": "sagemaker_xgboost",
    "XGBoostProcessor": "sagemaker_xgboost",
    "PyTorch": "dlc_pytorch",
    "PyTorchModel": "dlc_pytorch",
    "PyTorchProcessor": "dlc_pytorch",
    "TensorFlow": "dlc_tensorflow",
    "TensorFlowModel": "dlc_tensorflow",
    "TensorFlowProcessor": "dlc_tensorflow",
}
_BY_NAME: Final = {
    "sklearn": "sagemaker_sklearn",
    "xgboost": "sagemaker_xgboost",
    "pytorch": "dlc_pytorch",
    "tensorflow": "dlc_tensorflow",
}
_PINNED: Final = {"apache-airflow": "airflow", "pyspark": "spark"}


@rule(
    "GS08",
    name="eol-runtime",
    dimension="governance",
    severity=MEDIUM,
    confidence=0.9,
    fix="Move to a release that is still maintained, and let Dependabot or Renovate say when.",
    effort=(0.5, 2.0),
    sources=(
        "endoflife_date: release cycles of the product, column eol",
        "cwe: CWE-1104 Use of Unmaintained Third Party Components",
    ),
)
def eol_runtime(repo: AuditRepository) -> Iterator[Hit]:
    """Report releases without security fixes on the day of the audit."""
    for image in repo.images:
        if not is_test_path(image.path):
            yield from _image(repo, image)
    yield from _pythons(repo)
    yield from _ci(repo)
    for view in repo.views("sagemaker"):
        yield from _sagemaker(repo, view)
    yield from _packages(repo)


def _pythons(repo: AuditRepository) -> Iterator[Hit]:
    """Old versions that files ask for, each once a file."""
    places: dict[tuple[str, str, str], list[int]] = {}
    for one in wanted_pythons(repo):
        key = (one.path, one.kind, one.version)
        places.setdefault(key, []).append(one.line)
        found = ended(repo, one.kind, one.version) if len(places[key]) == 1 else None
        if found:
            yield _hit(one.path, one.line, [found], f"asked for by {one.where}")


def _hit(path: str, line: int, found: list[Ended], where: str) -> Hit:
    said = "; ".join(str(f) for f in found)
    recent = all(f.recent for f in found)
    return Hit(
        path,
        line,
        f"{said} ({where}).",
        f"Move to a maintained release, see {found[0].url}.",
        severity=LOW if recent else MEDIUM,
    )


def _image(repo: AuditRepository, image: Image) -> Iterator[Hit]:
    found = [e for p, v in _versions(image) if (e := ended(repo, p, v)) is not None]
    if found:
        kept = list({e.name: e for e in found}.values())
        yield _hit(image.path, image.line, kept, f"image `{image.ref[:120]}`")


def _versions(image: Image) -> Iterator[tuple[str, str]]:
    """Products and versions that the name and the tag of an image speak of."""
    name, tag = image.name.lower(), image.tag.lower()
    base = name.rpartition("/")[2]
    function = _LAMBDA.search(name) if "lambda" in name else None
    number = _NUMBER.match(tag)
    if function and number:
        yield "lambda", f"{function.group(1)}{'.'.join(number.group(0).split('.')[:2])}"
        return
    product = _PRODUCTS.get(base, "")
    if product == "openjdk":
        # The image itself is given up, but only that of Docker Hub.
        if name in ("openjdk", "library/openjdk", "docker.io/openjdk", "docker.io/library/openjdk"):
            yield product, tag or "latest"
    elif product:
        yield product, number.group(0) if number else tag.partition("-")[0]
    vertex = _VERTEX.search(image.ref)
    if vertex:
        yield "vertex_tensorflow", f"{vertex.group(1)}.{vertex.group(2)}"
    yield from _inside(product, f"{base}:{tag}")


def _inside(product: str, text: str) -> Iterator[tuple[str, str]]:
    """Give what else the name says is in the image: a distribution, a Python."""
    tail = text.partition(":")[2]
    code = _CODE_NAMES.search(tail)
    if code and product not in ("debian", "ubuntu"):
        yield "debian" if code.group(1) in _DEBIAN_NAMES else "ubuntu", code.group(1)
    for pattern, other in ((_UBUNTU, "ubuntu"), (_ALPINE, "alpine")):
        match = pattern.search(tail)
        if match and product != other:
            yield other, match.group(1)
    python = _PYTHON.search(text) if product != "python" else None
    if python:
        yield "python", plain(python.group(1))


def _ci(repo: AuditRepository) -> Iterator[Hit]:
    for workflow in workflows(repo):
        for _, job in workflow.jobs:
            node = job.child("runs-on")
            if node is not None and (found := ended(repo, "runner", node.text)):
                yield _hit(workflow.path, node.line, [found], "the runner of the job")
            matrix = job.get("strategy", "matrix", "os")
            for item in (matrix.items or ()) if matrix is not None else ():
                if found := ended(repo, "runner", item.text):
                    yield _hit(workflow.path, item.line, [found], "a runner of the matrix")
        yield from _actions(repo, workflow.path)


def _actions(repo: AuditRepository, path: str) -> Iterator[Hit]:
    """GitHub's own actions on an old Node.js, once for each workflow."""
    old: dict[str, int] = {}
    for workflow in workflows(repo):
        if workflow.path != path:
            continue
        for _, step in workflow.steps:
            uses = step.child("uses")
            text = re.sub(r"@v(\d+)\.[\d.]+$", r"@v\1", uses.text) if uses is not None else ""
            table = repo.knowledge.end_of_life.get("action")
            known = table is not None and text in table.ends
            if uses is not None and known and ended(repo, "action", text):
                old.setdefault(text, uses.line)
    if old:
        names = ", ".join(f"`{n}`" for n in old)
        yield Hit(
            path,
            min(old.values()),
            f"Too old to be supported or to run at all: {names}.",
            "Use the newest major version.",
            also=tuple((path, n) for n in sorted(old.values())[1:]),
            severity=LOW,
        )


def _sagemaker(repo: AuditRepository, view: View) -> Iterator[Hit]:
    seen: set[str] = set()
    for call in view.calls:
        name = last(view.name(call))
        product, argument = _ESTIMATORS.get(name, ""), view.arg(call, "framework_version")
        if product and argument is None and name.startswith("SKLearnProcessor"):
            argument = call.args[0] if call.args else None
        if name == "retrieve":
            framework = view.string(view.arg(call, "framework", 0))
            product, argument = _BY_NAME.get(framework, ""), view.arg(call, "version", 2)
        elif name == "get_image_uri":
            framework = view.string(view.arg(call, "repo_name", 1))
            product, argument = _BY_NAME.get(framework, ""), view.arg(call, "repo_version", 2)
        if not product or argument is None:
            continue
        version = view.string(argument)
        found = [e for e in (ended(repo, product, version), _py(repo, view, call)) if e is not None]
        key = "; ".join(str(f) for f in found)
        if found and key not in seen:
            seen.add(key)
            yield _hit(view.path, argument.lineno, found, f"version {version} of the container")


def _py(repo: AuditRepository, view: View, call: ast.Call) -> Ended | None:
    text = view.string(view.arg(call, "py_version"))
    return ended(repo, "python", plain(text)) if len(text) > 3 else None  # noqa: PLR2004 - not py3


def _packages(repo: AuditRepository) -> Iterator[Hit]:
    for manifest in manifests(repo):
        if is_test_path(manifest.path):
            continue
        for one in manifest.entries:
            product = _PINNED.get(one.name)
            match = re.match(r"(?:={2,3}|~=)\s{0,3}(\d{1,4}(?:\.\d{1,4}){0,3})", one.spec)
            found = ended(repo, product, match.group(1)) if product and match else None
            if found:
                yield _hit(manifest.path, one.line, [found], f"`{one.name}{one.spec[:20]}`")
