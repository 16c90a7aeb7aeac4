"""What the collector passes over by name, and how skips are told in few lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from mlops_advisor.tools.evidence.models import Skip

SKIPPED_FOLDERS: Final = {
    ".git": "version control data",
    ".hg": "version control data",
    ".svn": "version control data",
    "node_modules": "installed packages",
    "site-packages": "installed packages",
    ".eggs": "installed packages",
    "__pycache__": "cache",
    ".mypy_cache": "cache",
    ".pytest_cache": "cache",
    ".ruff_cache": "cache",
    ".ipynb_checkpoints": "cache",
    ".terraform": "cache",
    ".tox": "virtual environment",
    ".nox": "virtual environment",
    ".venv": "virtual environment",
    "dist": "build output",
    ".idea": "editor settings",
    "mlruns": "tracking store",
    "wandb": "tracking store",
    "lightning_logs": "tracking store",
}
BUILD_OUTPUT: Final = re.compile(r"(?:^|/)build/(?:lib|bdist\.|temp\.)[^/]*$|\.egg-info$")
# Known by name to hold data, pictures or binaries: no probe reads them, their names suffice.
DATA_SUFFIXES: Final = frozenset(
    ".csv .tsv .parquet .feather .arrow .orc .avro .xls .xlsx .sqlite .sqlite3 .db .npy .npz .h5"
    " .hdf5 .pkl .pickle .joblib .pt .pth .ckpt .onnx .pb .tflite .safetensors .bin .model .ubj"
    " .png .jpg .jpeg .gif .bmp .webp .ico .tif .tiff .pdf .docx .pptx .zip .gz .tgz .bz2 .xz .7z"
    " .tar .jar .whl .so .dll .dylib .exe .o .a .class .pyc .pyo .woff .woff2 .ttf .eot .mp3"
    " .mp4 .wav .mov .avi .jsonl .ndjson .svg .map .css".split()
)
_SUMMARY_OVER: Final = 5  # so many skips of one kind in one folder become one entry
_MAX_SKIPS: Final = 500


def summary(skipped: Sequence[Skip]) -> tuple[Skip, ...]:
    """Sort; many skips for one reason in one folder become one entry with their number."""
    groups = Counter((_parent(s.path), s.reason) for s in skipped)
    shown = [s for s in skipped if groups[_parent(s.path), s.reason] <= _SUMMARY_OVER]
    for (parent, reason), count in groups.items():
        if count > _SUMMARY_OVER:
            shown.append(Skip(f"{parent or '.'}/", f"{count} entries: {reason}"))
    shown.sort(key=lambda s: (s.path, s.reason))
    if len(shown) > _MAX_SKIPS:
        rest = len(shown) - _MAX_SKIPS
        shown = [*shown[:_MAX_SKIPS], Skip(".", f"and {rest} more entries not read")]
    return tuple(shown)


def _parent(path: str) -> str:
    return path.rstrip("/").rpartition("/")[0]
