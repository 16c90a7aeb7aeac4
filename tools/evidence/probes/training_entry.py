"""How training is started, with what environment, and whether it can be repeated."""

from __future__ import annotations

import re
from typing import Final

from mlops_advisor.tools.evidence.probes._base import (
    C,
    E,
    Spot,
    Verdict,
    W,
    absent,
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
_LOCKS: Final = (
    "poetry.lock",
    "uv.lock",
    "pdm.lock",
    "pipfile.lock",
    "conda-lock.yml",
    "pixi.lock",
    "pylock.toml",
    "renv.lock",
)
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
    code = repo.code
    scripts = {p: c for p, c in code.training_scripts.items() if not repo.is_aside(p)}
    if not scripts:
        if code.training_notebooks:
            return _notebooks(repo)
        if repo.stages.training is not None:
            return present(repo, W, "Training is defined as a job.", [repo.stages.training])
        return not_applicable("Nothing here trains a model.")
    places = [(p, c.line) for p, c in scripts.items()]
    drivers = code.training_roots
    run = next((r for p in sorted(drivers) if (r := repo.runs.automatic.get(p)) is not None), None)
    if run is not None:
        return present(
            repo,
            E,
            f"{run.at} runs the training script without a person.",
            [*places[:4], run.where],
        )
    if any(p in repo.flows.modules for p in drivers):
        return present(repo, E, "A pipeline runs the training script.", places)
    run = next((r for p in sorted(drivers) if (r := repo.runs.by_hand.get(p)) is not None), None)
    if run is not None:
        return present(
            repo, W, f"{run.at} runs the training script by one command.", [*places[:4], run.where]
        )
    for path in sorted(drivers):
        call = next((c for c in code.modules[path].calls if c.name in _PARAMETERS), None)
        if call is not None:
            return present(
                repo,
                W,
                "A training script takes its parameters from outside.",
                [(path, call.line), *places],
            )
    return present(
        repo, C, "A training script exists; it takes no parameters and nothing runs it.", places
    )


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
    locks = repo.named(*_LOCKS)
    seen = [p for p in repo.paths if p.rsplit("/", 1)[-1].lower() in _LOCKS]
    full = [
        r
        for r in repo.requirements
        if r.names and (r.fixed >= len(r.names) or r.hashed >= len(r.names))
    ]
    pinned = [(p, 1) for p in (locks or seen)] + [
        (r.path, r.first_line) for r in full if r.hashed or len(r.names) > 3
    ]
    if pinned:
        installs = [r for r in repo.runs.everything if r.counts and _INSTALL.search(r.text)]
        strict = [
            r
            for r in installs
            if _STRICT.search(r.text) or ("requirements" in r.text and any(q.hashed for q in full))
        ]
        if strict:
            r = strict[0]
            return present(
                repo,
                E,
                f"Versions are locked, and {r.at} refuses to install anything else.",
                [*pinned, r.where],
            )
        names = [p.rsplit("/", 1)[-1] for p, _ in pinned]
        tools = {
            "poetry.lock": "poetry",
            "uv.lock": "uv",
            "pdm.lock": "pdm",
            "pipfile.lock": "pipenv",
            "pixi.lock": "pixi",
        }
        used = [
            r
            for r in installs
            if any(n in r.text or tools.get(n.lower(), "\0") in r.text.split() for n in names)
            or "-r " in r.text
        ]
        if used:
            return present(
                repo,
                W,
                f"Versions are locked and {used[0].at} installs them.",
                [*pinned, used[0].where],
            )
        return present(
            repo,
            C,
            "Versions are locked; no command that installs from the lock was found.",
            pinned,
        )
    partly = [r for r in repo.requirements if r.names]
    if full:
        return present(
            repo,
            C,
            "The few direct dependencies are fixed; what they bring along is not.",
            [(r.path, r.first_line) for r in full],
        )
    mostly = [r for r in partly if r.fixed * 5 >= len(r.names) * 4]
    if mostly:
        loose = [(r.path, r.loose_line) for r in mostly]
        return present(repo, C, "Most dependencies are fixed to a version, not all of them.", loose)
    if partly:
        return absent(
            repo,
            "Dependencies are listed, but not locked.",
            [(r.path, r.loose_line or r.first_line) for r in partly],
        )
    others = repo.named(
        "pyproject.toml",
        "setup.py",
        "environment.yml",
        "environment.yaml",
        "pipfile",
        "conda.yaml",
        "setup.cfg",
    )
    if others:
        return absent(
            repo, "Dependencies are declared, and no lock file is here.", [(p, 1) for p in others]
        )
    if repo.stages.training is not None:
        return absent(
            repo, "Training is here, and no file lists what it needs.", [repo.stages.training]
        )
    return unknown("No Python dependencies are declared here.")


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
