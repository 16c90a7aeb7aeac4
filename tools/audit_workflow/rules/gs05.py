"""Model file that may run code

## What it does

Looks at names of model files and at model files that are text: a name that hides a program
(`model.pkl.exe`), a text pickle that names `os.system`, `eval` and the like, and a Keras
architecture with a Lambda layer, whose code is run on loading.

## Why is this bad?

Whoever loads the file runs the code.  A model from the internet is a program from the internet.

## Known problems

Binary files are not opened here.  When picklescan is installed, what it finds in pickles inside
of them is reported under this rule; without it only names are looked at, so no finding does not
mean that the models are clean.

## Example

```text
models/classifier.pkl.exe
```

## Use instead

```text
models/classifier.safetensors
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import CRITICAL, MEDIUM, Hit, rule
from mlops_advisor.tools.evidence.code import is_test_path

_HIDDEN: Final = re.compile(
    r"(?i)\.(?:pkl|pickle|joblib|pt|pth|ckpt|h5|hdf5|onnx|pb|bin|safetensors|model|keras)"
    r"\.(?:exe|scr|bat|cmd|com|dll|vbs|ps1|msi|jar|sh)$"
)
_TEXT_PICKLE: Final = re.compile(
    r"(?:^|\n|\()c(os|posix|nt|subprocess|builtins|__builtin__|sys|socket|shutil|runpy)\n"
    r"(system|popen|exec|eval|execfile|Popen|call|check_output|run|__import__|compile|execv|spawnl)\n"
)
_CODE: Final = (".py", ".md", ".rst", ".ipynb", ".sh", ".yml", ".yaml", ".toml", ".js", ".ts")
_LAMBDA: Final = re.compile(r"\"class_name\"\s{0,4}:\s{0,4}\"Lambda\"")


@rule(
    "GS05",
    name="malicious-or-unscannable-model-file",
    dimension="governance",
    severity=CRITICAL,
    confidence=0.8,
    fix="Do not load the file; delete it, and keep models as safetensors, ONNX or skops.",
    effort=(0.25, 1.0),
    sources=(
        "picklescan: README, dangerous globals",
        "modelscan: Why You Should Scan Models (model serialization attack)",
        "cwe: CWE-502 Deserialization of Untrusted Data",
    ),
)
def suspicious_model_file(repo: AuditRepository) -> Iterator[Hit]:
    """Report model files that hide a program or name functions that run commands."""
    for path in repo.paths:
        if _HIDDEN.search(path):
            why = "The name looks like that of a model and ends like that of a program."
            yield Hit(path, 1, why, text=path.rsplit("/", 1)[-1])
    for path, file in repo.files.items():
        low = path.lower()
        if low.endswith(_CODE) or is_test_path(path):
            continue
        found = (
            _TEXT_PICKLE.search(file.text)
            if "\nsystem\n" in file.text or "\n(" in file.text
            else None
        )
        if found:
            line = file.text.count("\n", 0, found.start(1)) + 1
            why = f"The file is a pickle that calls `{found.group(1)}.{found.group(2)}` on loading."
            yield Hit(path, line, why)
        elif low.endswith(".json") and "keras" in file.text[:200_000] and '"Lambda"' in file.text:
            layer = _LAMBDA.search(file.text)
            if layer:
                yield Hit(
                    path,
                    file.text.count("\n", 0, layer.start()) + 1,
                    "The Keras architecture has a Lambda layer, whose code is run on loading.",
                    "Replace the Lambda layer by a registered layer class, and load with "
                    "`safe_mode=True`.",
                    severity=MEDIUM,
                    confidence=0.6,
                )
