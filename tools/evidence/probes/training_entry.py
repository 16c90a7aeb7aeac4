"""How training is started, with what environment, and whether it can be repeated."""

from __future__ import annotations

import re
from typing import Final

from mlops_advisor.tools.evidence.parse.requirements import Requirements
from mlops_advisor.tools.evidence.probes._base import (
    C,
    E,
    Spot,
    Verdict,
    W,
    absent,
    first_of,
    from_code,
    not_applicable,
    present,
    probe,
    spots,
    unknown,
)
from mlops_advisor.tools.evidence.repository import Repository

_PARAMETERS: Final = frozenset(
    (
        "argparse.ArgumentParser click.command click.option typer.Typer "
        "typer.run fire.Fire hydra.main hydra.initialize dvc.api.params_show "
        "tyro.cli absl.app.run simple_parsing.parse draccus.wrap "
        "jsonargparse.CLI omegaconf.OmegaConf.load yaml.safe_load yaml.load "
        "tomllib.load"
    ).split()
)
_LOCKS: Final = {
    "poetry.lock": "poetry",
    "uv.lock": "uv",
    "pdm.lock": "pdm",
    "pipfile.lock": "pipenv",
    "pixi.lock": "pixi",
    "conda-lock.yml": "conda-lock",
    "pylock.toml": "pip",
    "renv.lock": "renv",
}
_DECLARED: Final = (
    "pyproject.toml",
    "setup.py",
    "environment.yml",
    "environment.yaml",
    "pipfile",
    "conda.yaml",
    "setup.cfg",
)
_FEW: Final = 3  # so few entries can be all that is wanted directly
_INSTALL: Final = re.compile(
    r"\b(?:pip3?|uv|poetry|pdm|pipenv|conda-lock|pixi|conda|mamba|micromamba)"
    r"\b[^\n]{0,200}\b(?:install|sync|create)\b"
)
_STRICT: Final = re.compile(
    r"--require-hashes|--locked|--frozen|--deploy\b|\bpip-sync\b|uv pip sync|"
    r"pdm sync|conda-lock install|--no-lock-update"
)
_SEEDS: Final = (
    "random.seed",
    "numpy.random.seed",
    "numpy.random.default_rng",
    "torch.manual_seed",
    "torch.cuda.manual_seed_all",
    "tensorflow.random.set_seed",
    "tensorflow.keras.utils.set_random_seed",
    "keras.utils.set_random_seed",
    "pytorch_lightning.seed_everything",
    "lightning.seed_everything",
    "lightning.pytorch.seed_everything",
    "transformers.set_seed",
    "accelerate.utils.set_seed",
    "*.seed_everything",
    "*.set_seeds",
    "*.set_seed",
)


@probe(
    "training_script",
    practice="training_scripted",
    asks="Does training run from a script by one command?",
    searched="Python files and notebooks that fit a model, and the commands that run them",
)
def _training_script(repo: Repository) -> Verdict:
    if not _scripts(repo):
        if repo.code.training_notebooks:
            return _notebooks(repo)
        if repo.stages.training is not None:
            return present(repo, W, "Training is defined as a job.", [repo.stages.training])
        return not_applicable("Nothing here trains a model.")
    verdict = first_of(repo, _started_alone, _started_by_hand, _takes_parameters)
    detail = "A training script exists; it takes no parameters and nothing runs it."
    return verdict or present(repo, C, detail, _scripts(repo))


def _scripts(repo: Repository) -> list[tuple[str, int]]:
    scripts = repo.code.training_scripts
    return [(p, c.line) for p, c in scripts.items() if not repo.is_aside(p)]


def _started_alone(repo: Repository) -> Verdict | None:
    drivers = sorted(repo.code.training_roots)
    run = next((r for p in drivers if (r := repo.runs.automatic.get(p)) is not None), None)
    if run is not None:
        detail = f"{run.at} runs the training script without a person."
        return present(repo, E, detail, [*_scripts(repo)[:4], run.where])
    if any(p in repo.flows.modules for p in drivers):
        return present(repo, E, "A pipeline runs the training script.", _scripts(repo))
    return None


def _started_by_hand(repo: Repository) -> Verdict | None:
    drivers = sorted(repo.code.training_roots)
    run = next((r for p in drivers if (r := repo.runs.by_hand.get(p)) is not None), None)
    if run is None:
        return None
    detail = f"{run.at} runs the training script by one command."
    return present(repo, W, detail, [*_scripts(repo)[:4], run.where])


def _takes_parameters(repo: Repository) -> Verdict | None:
    for path in sorted(repo.code.training_roots):
        calls = repo.code.modules[path].calls
        call = next((c for c in calls if c.name in _PARAMETERS), None)
        if call is not None:
            detail = "A training script takes its parameters from outside."
            return present(repo, W, detail, [(path, call.line), *_scripts(repo)])
    return None


def _notebooks(repo: Repository) -> Verdict:
    books = repo.code.training_notebooks
    run = next(
        (r for p in books if (r := repo.runs.by_hand.get(p) or repo.runs.piped.get(p)) is not None),
        None,
    )
    if run is not None:
        return present(repo, C, f"Training is a notebook, run as a whole by {run.at}.", [run.where])
    return absent(
        repo, "Training happens in notebooks only.", [(p, c.line) for p, c in books.items()]
    )


@probe(
    "pinned_environment",
    practice="environment_pinned",
    asks="Is the training environment locked?",
    searched=(
        "lock files, requirement files, conda environments, and the commands that install from them"
    ),
)
def _pinned_environment(repo: Repository) -> Verdict:
    verdict = first_of(repo, _locked, _fixed, _mostly_fixed)
    if verdict is not None:
        return verdict
    listed = [(r.path, r.loose_line or r.first_line) for r in repo.requirements if r.names]
    if listed:
        return absent(repo, "Dependencies are listed, but not locked.", listed)
    declared = [(p, 1) for p in repo.named(*_DECLARED)]
    if declared:
        return absent(repo, "Dependencies are declared, and no lock file is here.", declared)
    if repo.stages.training is not None:
        detail = "Training is here, and no file lists what it needs."
        return absent(repo, detail, [repo.stages.training])
    return unknown("No Python dependencies are declared here.")


def _whole(repo: Repository) -> list[Requirements]:
    """Pick the requirement files that fix every entry."""
    return [r for r in repo.requirements if r.names and max(r.fixed, r.hashed) >= len(r.names)]


def _locked(repo: Repository) -> Verdict | None:
    names = [p for p in repo.paths if p.rsplit("/", 1)[-1].lower() in _LOCKS]
    whole = [r for r in _whole(repo) if r.hashed or len(r.names) > _FEW]
    found = [(p, 1) for p in names] + [(r.path, r.first_line) for r in whole]
    if not found:
        return None
    installs = [r for r in repo.runs.everything if r.counts and _INSTALL.search(r.text)]
    hashed = any(r.hashed for r in whole)
    strict = [
        r for r in installs if _STRICT.search(r.text) or ("requirements" in r.text and hashed)
    ]
    if strict:
        detail = f"Versions are locked, and {strict[0].at} refuses to install anything else."
        return present(repo, E, detail, [*found[:4], strict[0].where])
    files = [p.rsplit("/", 1)[-1] for p, _ in found]
    tools = {_LOCKS[f.lower()] for f in files if f.lower() in _LOCKS}
    used = [
        r
        for r in installs
        if "-r " in r.text or tools & set(r.text.split()) or any(f in r.text for f in files)
    ]
    if used:
        detail = f"Versions are locked and {used[0].at} installs them."
        return present(repo, W, detail, [*found[:4], used[0].where])
    detail = "Versions are locked; no command that installs from the lock was found."
    return present(repo, C, detail, found)


def _fixed(repo: Repository) -> Verdict | None:
    whole = _whole(repo)
    if not whole:
        return None
    detail = "The few direct dependencies are fixed; what they bring along is not."
    return present(repo, C, detail, [(r.path, r.first_line) for r in whole])


def _mostly_fixed(repo: Repository) -> Verdict | None:
    mostly = [r for r in repo.requirements if r.names and r.fixed * 5 >= len(r.names) * 4]
    if not mostly:
        return None
    detail = "Most dependencies are fixed to a version, not all of them."
    return present(repo, C, detail, [(r.path, r.loose_line) for r in mostly])


@probe(
    "seeds",
    practice="training_reproducible",
    asks="Is randomness in training fixed?",
    searched=(
        "seed calls, random_state arguments and seed settings in training code and parameter files"
    ),
)
def _seeds(repo: Repository) -> Verdict:
    code = repo.code
    found = spots(code.calls(*_SEEDS))
    for path in [*code.training_code, *code.training_notebooks]:
        for call in code.modules[path].calls:
            value = call.kwargs.get(
                "random_state", call.kwargs.get("seed", call.kwargs.get("random_seed"))
            )
            if value is not None:
                found.append(Spot(path, call.line, call.scope))
                break
    # Seeds alone never show that a model was trained again: configured is the most they prove.
    verdict = from_code(
        repo, "Seeds are fixed, which reproducible training needs but is not yet", found, most=C
    )
    if verdict is not None:
        return verdict
    if repo.stages.training is not None:
        return absent(repo, "Training is here, and no seed is fixed.", [repo.stages.training])
    return not_applicable("Nothing here trains a model.")
