"""What rules on training share: seeds in reach, dictionaries spread into calls, configuration."""

from __future__ import annotations

import ast
import re
from itertools import islice
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.evidence.code import Code
from mlops_advisor.tools.evidence.parse.python import dotted
from mlops_advisor.tools.evidence.parse.python_model import Call, PythonModule
from mlops_advisor.tools.evidence.repository import Repository, shared
from mlops_advisor.tools.evidence.view import View, walk

_MAX_REACH: Final = 400
_MAX_WORDS: Final = 300
_CONFIG_ROOTS: Final = frozenset(
    "argparse hydra omegaconf click typer fire absl dynaconf pydantic_settings box configparser"
    " simple_parsing tyro jsonargparse ml_collections decouple environs gin confuse".split()
)
_CONFIG_CALLS: Final = frozenset(
    "yaml.safe_load yaml.load yaml.full_load dvc.api.params_show json.load tomllib.load toml.load"
    " os.getenv os.environ.get params_show tomli.load ruamel.yaml.YAML OmegaConf.load"
    " configparser.ConfigParser".split()
)
_TORCH: Final = frozenset("torch torchvision pytorch_lightning lightning fastai timm monai".split())
_KERAS: Final = frozenset(("tensorflow", "keras", "tf_keras"))


@shared
def _drivers(_: Repository) -> dict[str, frozenset[str]]:
    return {}


def reach(repo: Repository, path: str) -> frozenset[str]:
    """Modules that run with a module: what it imports, what imports it, and what those import."""
    known = _drivers(repo)
    found = known.get(path)
    if found is None:
        code = repo.code
        above, stack = {path}, [path]
        while stack and len(above) < _MAX_REACH:
            for up in code.importers.get(stack.pop(), ()):
                if up not in above and up not in code.tests:
                    above.add(up)
                    stack.append(up)
        found = known[path] = code.closure(tuple(sorted(above)))
    return found


@shared
def _seeds(repo: Repository) -> dict[str, frozenset[str]]:
    return {p: frozenset(_seeds_of(m)) for p, m in repo.code.modules.items()}


def _seeds_of(module: PythonModule) -> set[str]:
    found: set[str] = set()
    for call in module.calls:
        found |= _seeded_by(call)
    for function in module.functions:
        if "seed" in function.last.lower() and not function.last.startswith("_"):
            found.add(f"def {function.last}")
    return found


def _seeded_by(call: Call) -> set[str]:
    name, short = call.name, call.last.lower()
    if name in ("numpy.random.seed", "np.random.seed", "numpy.random.set_state"):
        return {"numpy"}
    if name in ("torch.manual_seed", "torch.random.manual_seed", "pytorch.manual_seed"):
        return {"torch"}
    if name in ("tensorflow.random.set_seed", "tensorflow.set_random_seed") or name.endswith(
        (".set_random_seed", "random.set_seed", ".enable_op_determinism")
    ):
        return {"tensorflow", "numpy"} if "keras" in name else {"tensorflow"}
    if name == "random.seed":
        return {"random"}
    if "seed" in short and short not in ("getseed", "get_seed", "seed_sequence", "randomseed"):
        return {"numpy", "torch", "tensorflow", "random"}  # seed_everything and its kin
    return set()


def seeded(repo: AuditRepository, path: str, library: str) -> bool:
    """Tell whether code that runs with a module seeds the generator of one library."""
    seeds = _seeds(repo)
    return any(library in seeds.get(p, ()) for p in reach(repo, path))


def known_keys(view: View, call: ast.Call) -> frozenset[str] | None:
    """Names of all keyword arguments, literal `**dict` included; None when some are not known."""
    keys: set[str] = set()
    for keyword in call.keywords:
        if keyword.arg is not None:
            keys.add(keyword.arg)
            continue
        value = view.settled(keyword.value)
        if not isinstance(value, ast.Dict) or not _fixed(view, keyword.value):
            return None
        for key in value.keys:
            if not isinstance(key, ast.Constant):
                return None
            keys.add(str(key.value))
    if any(isinstance(a, ast.Starred) for a in call.args):
        return None
    return frozenset(keys)


def _fixed(view: View, node: ast.expr) -> bool:
    """Tell whether nothing is put into the dictionary after it was made."""
    if not isinstance(node, ast.Name):
        return True
    for stored in view.of(ast.Subscript):
        if (
            isinstance(stored.ctx, ast.Store)
            and isinstance(stored.value, ast.Name)
            and stored.value.id == node.id
        ):
            return False
    return not any(
        isinstance(c.func, ast.Attribute)
        and c.func.attr in ("update", "setdefault")
        and isinstance(c.func.value, ast.Name)
        and c.func.value.id == node.id
        for c in view.calls
    )


def configured(module: PythonModule) -> bool:
    """Tell whether a module takes settings from a command line, file or environment."""
    if module.roots & _CONFIG_ROOTS:
        return True
    return any(c.name in _CONFIG_CALLS or c.last in _CONFIG_CALLS for c in module.calls)


def runs_torch(module: PythonModule) -> bool:
    """Tell whether a module uses PyTorch."""
    return bool(module.roots & _TORCH)


def runs_keras(module: PythonModule) -> bool:
    """Tell whether a module uses TensorFlow or Keras."""
    return bool(module.roots & _KERAS)


def comment_of(line: str) -> str:
    """Comment at the end of a line of code; empty when there is none."""
    match = _COMMENT.search(line[:500])
    return match.group(1).strip() if match else ""


_COMMENT: Final = re.compile(r"#([^\"'#]{0,300})$")


def source_line(repo: AuditRepository, view: View, line: int) -> str:
    """One line of the source as the view counts lines: of the file, or of the joined cells."""
    book = repo.notebooks.get(view.path) if view.module.notebook else None
    if book is not None:
        return book.lines[line - 1][2] if 0 < line <= len(book.lines) else ""
    lines = repo.lines(view.path)
    return lines[line - 1] if 0 < line <= len(lines) else ""


def trains(code: Code, path: str) -> bool:
    """Tell whether a module trains a model, or takes part in training."""
    return path in code.training or path in code.training_code


def shown(node: ast.AST, limit: int = 80) -> str:
    """Source of an expression as Python would write it, shortened."""
    try:
        return ast.unparse(node)[:limit]
    except RecursionError:
        return dotted(node)[:limit]


def words_in(node: ast.AST) -> str:
    """Names, attributes, keywords and short texts below a node, divided by blanks."""
    found: list[str] = []
    for below in islice(walk(node), _MAX_WORDS):
        if isinstance(below, ast.Name):
            found.append(below.id)
        elif isinstance(below, ast.Attribute):
            found.append(below.attr)
        elif isinstance(below, ast.keyword):
            found.append(below.arg or "")
        elif isinstance(below, ast.Constant) and isinstance(below.value, str):
            found.append(below.value[:60])
    return " ".join(found)
