"""Package by a wrong or dangerous name

## What it does

Reports packages in requirement files, projects, environments and `pip install` commands whose
name on the package index is not that of the library that is meant (`sklearn`, `pathlib`,
`pyaml`), those that were renamed or given up (`fbprophet`, `kfserving`), and
`--extra-index-url`, with which a package of an internal name can come from the public index.

## Why is this bad?

A wrong name installs somebody else's code, or nothing.  With an extra index pip takes the highest
version from either: who publishes your internal name on the public index wins.

## Known problems

`pyaml` is a real package; it is only reported when the code never imports it.

## Example

```text
sklearn
--extra-index-url https://packages.example.com/simple
```

## Use instead

```text
scikit-learn==1.5.2
--index-url https://packages.example.com/simple
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._supply import Entry, manifests
from mlops_advisor.tools.audit_workflow.rules._supply_commands import installs
from mlops_advisor.tools.evidence.code import is_test_path

# Names on the index that are not what the import of the same name is.
_WRONG: Final = {
    "sklearn": "scikit-learn",
    "skimage": "scikit-image",
    "scikitlearn": "scikit-learn",
    "cv2": "opencv-python",
    "opencv": "opencv-python",
    "pil": "pillow",
    "yaml": "PyYAML",
    "pyaml": "PyYAML",
    "dotenv": "python-dotenv",
    "jwt": "PyJWT",
    "dateutil": "python-dateutil",
    "bs4": "beautifulsoup4",
    "pytorch": "torch",
    "torch-vision": "torchvision",
    "crypto": "pycryptodome",
    "mysqldb": "mysqlclient",
    "attr": "attrs",
    "google-cloud": "the package of the service, for example google-cloud-storage",
    "airflow": "apache-airflow",
    "spark": "pyspark",
    "beam": "apache-beam",
    "kubeflow-pipelines": "kfp",
    "python-sklearn": "scikit-learn",
    "docker-py": "docker",
    "discord-py": "discord.py",
    "fitz": "PyMuPDF",
    "serial": "pyserial",
    "zmq": "pyzmq",
    "magic": "python-magic",
    "usb": "pyusb",
    "prometheus": "prometheus-client",
    "requets": "requests",
    "request": "requests",
    "python-requests": "requests",
    "numpi": "numpy",
    "matplot": "matplotlib",
    "panda": "pandas",
}
# Part of Python: the package of that name is an old copy, or somebody else's.
_STANDARD: Final = frozenset(
    "pathlib argparse asyncio uuid json os sys csv time random math re logging typing enum enum34"
    " hashlib unittest statistics shutil glob subprocess collections itertools functools pickle"
    " datetime contextlib multiprocessing sqlite3 string threading urllib io ssl zipfile tempfile"
    " copy warnings inspect dataclasses futures configparser abc traceback platform socket".split()
)
_BACKPORTS: Final = frozenset(("dataclasses", "typing", "enum34", "futures", "configparser"))
_GONE: Final = {
    "fbprophet": "prophet",
    "kfserving": "kserve",
    "tensorflow-gpu": "tensorflow",
    "tf-nightly-gpu": "tf-nightly",
    "pandas-profiling": "ydata-profiling",
    "pycrypto": "pycryptodome",
    "nose": "pytest",
    "sagemaker-experiments": "sagemaker",
    "azureml-sdk": "azure-ai-ml",
    "pickle5": "nothing, Python 3.8 and later have it",
    "neptune-client": "neptune",
    "pydrive": "pydrive2",
    "pyjwt2": "PyJWT",
    "oauth2client": "google-auth",
    "imblearn": "imbalanced-learn",
    "mxnet": "another framework; the project is retired",
    "jupyter-lab": "jupyterlab",
    "azureml-core": "azure-ai-ml",
    "keras-rl": "a maintained library",
    "pytorch-pretrained-bert": "transformers",
    "pytorch-transformers": "transformers",
    "tensorflow-serving-api-gpu": "tensorflow-serving-api",
}
_INDEX: Final = re.compile(
    r"--extra-index-url[= ]\s{0,4}[\"']?(\S{8,200})"
    r"|^\s{0,8}extra-index-url\s{0,4}=\s{0,4}(\S{8,200})"
)
_CONDA: Final = frozenset(("pytorch", "opencv", "yaml", "magic", "jwt", "zmq"))
# Indexes of wheels that the makers of a framework publish themselves.
_KNOWN: Final = ("download.pytorch.org", "pypi.nvidia.com", "pypi.ngc.nvidia.com", "data.pyg.org")


@rule(
    "GS07",
    name="dependency-name-risk",
    dimension="governance",
    severity=MEDIUM,
    confidence=0.9,
    fix="Use the name that the project's own installation manual gives.",
    effort=(0.1, 0.25),
    sources=(
        "pypi_sklearn: README, the sklearn package on PyPI is deprecated",
        "cwe: CWE-427 Uncontrolled Search Path Element",
    ),
)
def dependency_name(repo: AuditRepository) -> Iterator[Hit]:
    """Report names that install something else, and extra indexes."""
    for manifest in manifests(repo):
        for one in () if is_test_path(manifest.path) else manifest.entries:
            # The channels of conda have names of their own.
            if manifest.kind != "conda" or one.name not in _CONDA:
                yield from _name(repo, manifest.path, one.line, one)
    for install in installs(repo):
        for one in install.entries:
            yield from _name(repo, install.path, install.line, one)
    yield from _indexes(repo)


def _indexes(repo: AuditRepository) -> Iterator[Hit]:
    for install in installs(repo):
        for flag in install.flags:
            found = _INDEX.search(flag)
            if found:
                yield _index(install.path, install.line, found.group(1) or found.group(2))
    for path in (*repo.ending(".txt", ".in"), *repo.named("pip.conf", "pip.ini")):
        if "extra-index-url" not in repo.text(path) or is_test_path(path):
            continue
        for number, line in enumerate(repo.lines(path)[:2_000], 1):
            found = None if line.lstrip().startswith("#") else _INDEX.search(line[:400])
            if found:
                yield _index(path, number, found.group(1) or found.group(2))


def _name(repo: AuditRepository, path: str, line: int, one: Entry) -> Iterator[Hit]:
    name = one.name
    if name in _WRONG and not one.url:
        if name == "pyaml" and _imported(repo, "pyaml"):
            return
        yield Hit(
            path,
            line,
            f"`{name}` is not the package that is meant; the library is `{_WRONG[name]}`.",
            f"Write `{_WRONG[name]}`.",
        )
    elif name in _STANDARD and "python_version" not in _marker(repo, path, line):
        if name in _BACKPORTS and "<" in _marker(repo, path, line):
            return
        yield Hit(
            path,
            line,
            f"`{name}` is a part of Python; the package of that name is an old copy of it or "
            "somebody else's.",
            "Remove the line.",
        )
    elif name in _GONE:
        yield Hit(
            path,
            line,
            f"`{name}` is no longer maintained under this name; use {_GONE[name]}.",
            f"Replace it by {_GONE[name]}.",
            severity=LOW,
        )


def _marker(repo: AuditRepository, path: str, line: int) -> str:
    lines = repo.lines(path)
    return lines[line - 1][:400] if 0 < line <= len(lines) else ""


def _imported(repo: AuditRepository, root: str) -> bool:
    return any(root in m.roots for m in repo.python.values())


def _index(path: str, line: int, url: str) -> Hit:
    known = any(k in url for k in _KNOWN)
    return Hit(
        path,
        line,
        f"`--extra-index-url {url.strip(chr(34))[:100]}`: pip takes the highest version from that "
        "index or from the public one, whoever published it.",
        "Use `--index-url` with an index that mirrors the public one, or name the index of each "
        "package (`[tool.uv.sources]`, a Poetry source with priority explicit).",
        severity=LOW if known else MEDIUM,
        confidence=0.7 if known else 0.85,
    )
