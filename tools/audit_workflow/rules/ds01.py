"""Model goes on without a quality gate

## What it does

Looks for calls that register, promote, deploy or (when nothing else releases a model) save one for
those who use it, and that no comparison of a metric with a threshold or with the model in
production decides about.  Also reported: pipelines that register before they evaluate,
comparisons of a challenger with itself or the wrong way round, first versions that are promoted
unseen, gates that know one number written into the code only, and CI that reports metrics and lets
everything pass.

## Why is this bad?

A training run on broken data gives a model as well.  Without a gate it replaces a good one, and
its users are the first to notice.

## Known problems

A person who looks at metrics before starting a deployment is a gate that no file shows; an
approval status (`PendingManualApproval`) or a protected environment is seen and counts.

## Example

```python
model.fit(X_train, y_train)
mlflow.register_model(f"runs:/{run_id}/model", "churn")
```

## Use instead

```python
if f1 < champion_f1 + MARGIN:
    raise SystemExit(f"challenger {f1:.3f} does not beat champion {champion_f1:.3f}")
mlflow.register_model(f"runs:/{run_id}/model", "churn")
```
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._gate_order import early_releases
from mlops_advisor.tools.audit_workflow.rules._gates import (
    Release,
    gate_exists,
    gated,
    judges,
    releases,
    stops,
)
from mlops_advisor.tools.evidence.probes.evaluation import is_metric
from mlops_advisor.tools.evidence.view import View, dotted, last

_REPORTS: Final = re.compile(
    r"\bcml (?:comment|send-comment|pr)\b|\bcml-send-comment\b|\bgh pr comment\b"
)
_REPORT_ACTIONS: Final = (
    "comment-pull-request",
    "sticky-pull-request-comment",
    "create-or-update-comment",
    "add-pr-comment",
)
_COMMANDS: Final = re.compile(
    r"\baz ml model (?:create|register|deploy)\b|\bgcloud ai (?:models upload|endpoints deploy-model)\b|"
    r"\baws sagemaker (?:create-model-package|create-endpoint|update-endpoint)\b|"
    r"\bhuggingface-cli upload\b|\bbentoml (?:push|deploy)\b|\bgto (?:register|assign)\b|"
    r"\bmlflow deployments (?:create|update)\b"
)
_METRIC_TEXT: Final = re.compile(
    r"metric|dvc |eval|report|train|result|accuracy|score", re.IGNORECASE
)
_LOSSES: Final = re.compile(
    r"(?:^|_)(?:rmse|mae|mse|mape|loss|error|logloss|rmsle|wer|perplexity|brier)(?:_|$)"
)
_SCORES: Final = re.compile(
    r"(?:^|_)(?:acc|accuracy|f1|auc|r2|precision|recall|score|gini|ndcg|map)(?:_|$)"
)
_NEW: Final = re.compile(r"(?:^|_)(?:new|challenger|candidate|cand|current|latest|this)(?:_|$)")
_OLD: Final = re.compile(
    r"(?:^|_)(?:prod|production|champion|champ|old|best|previous|prev|baseline|deployed|existing)(?:_|$)"
)
_FIRST: Final = re.compile(
    r"champion|prod|existing|previous|versions|latest|deployed|baseline", re.IGNORECASE
)
_CONDITIONS: Final = re.compile(r"^sagemaker\.workflow\.conditions\.Condition(?:Less|Greater)")
_CHAMPION: Final = re.compile(
    r"champion|production_|prod_(?:metric|score|model|acc|rmse|f1|auc|mae)|baseline|current_best|previous_|best_model_|incumbent",
    re.IGNORECASE,
)


@rule(
    "DS01",
    name="no-model-quality-gate",
    dimension="deployment",
    severity=HIGH,
    confidence=0.75,
    fix="Compare the candidate on held-out data with a threshold from configuration and with the"
    " model in production, stop when it is worse, and only then register or deploy.",
    effort=(1.0, 3.0),
    sources=(
        "ml_test_score: Infra 4, model quality is validated before serving",
        "rules_of_ml: Rule #9, detect problems before exporting models",
    ),
    practice="model_validation_gate",
)
def no_model_quality_gate(repo: AuditRepository) -> Iterator[Hit]:
    """Report models that go on whatever their metrics are."""
    found: dict[tuple[str, int], Hit] = {}
    for hit in (
        *early_releases(repo),
        *_champions(repo),
        *_ungated(repo),
        *_reported_only(repo),
        *_thresholds(repo),
    ):
        found.setdefault((hit.path, hit.line), hit)
    yield from found.values()


# --- releases that nothing decides about -------------------------------------------------------


def _ungated(repo: AuditRepository) -> Iterator[Hit]:
    if gate_exists(repo):
        return
    strong: list[Release] = []
    saved: list[Release] = []
    for path, module in repo.code.product.items():
        if path in repo.code.serving or not module.roots:
            continue
        text = repo.text(path)
        if not any(
            w in text
            for w in (
                "register",
                "deploy",
                "promot",
                "save",
                "dump",
                "alias",
                "stage",
                "upload",
                "log_model",
                "endpoint",
                "push_to_hub",
                "Pusher",
                "package",
            )
        ):
            continue
        view = repo.view(path)
        if view is None:
            continue
        here = releases(repo, view)
        strong += _first([r for r in here if r.kind != "save" and not gated(repo, r)])
        if not module.notebook and path in _training(repo):
            saved += [r for r in here if r.kind == "save" and not gated(repo, r)][-1:]
    plain = [r for r in strong if not r.view.module.notebook] or strong
    for one in plain:
        yield _no_gate(repo, one)
    commands = list(_commands(repo))
    yield from commands
    if (
        not plain
        and not commands
        and saved
        and repo.stages.scoring is not None
        and not _reports(repo)
    ):
        yield _saved(repo, _most_used(repo, saved))


def _commands(repo: AuditRepository) -> Iterator[Hit]:
    """Report command lines that register or deploy a model."""
    if not repo.stages.ml:
        return
    seen: set[str] = set()
    for run in (*repo.runs.ci, *repo.runs.make, *repo.runs.shell):
        found = _COMMANDS.search(run.text)
        if found is None or not run.counts or run.path in seen:
            continue
        if run.job is not None and (run.job.environment or run.job.manual):
            continue
        seen.add(run.path)
        yield Hit(
            run.path,
            run.line,
            f"`{found.group(0)}` brings the model to production whatever its metrics are: nothing"
            " in the repository compares them with a threshold or the model before.",
        )


def _reports(repo: AuditRepository) -> bool:
    return any(True for _ in _reported_only(repo))


def _training(repo: AuditRepository) -> frozenset[str]:
    return repo.code.training_code | frozenset(repo.code.training)


def _first(found: list[Release]) -> list[Release]:
    """Take what matters most of one module: a promotion before a registration."""
    return sorted(found, key=lambda r: (r.kind != "promote", r.line))[:1]


def _no_gate(repo: AuditRepository, one: Release) -> Hit:
    approved = _approved(repo)
    what = "promotes" if one.kind == "promote" else "registers"
    return Hit(
        one.view.path,
        one.line,
        f"`{one.what}` {what} the model whatever its metrics are: no comparison with a threshold or"
        " with the model in production stands before it, here or in what calls it"
        " (searched: conditions on metrics in training, evaluation and pipeline code, approval"
        " settings).",
        severity=MEDIUM
        if one.view.module.notebook or (one.kind == "register" and approved)
        else HIGH,
        confidence=0.6 if one.view.module.notebook else None,
    )


def _approved(repo: AuditRepository) -> bool:
    return any(j.environment for j in repo.jobs)


def _saved(repo: AuditRepository, one: Release) -> Hit:
    return Hit(
        one.view.path,
        one.line,
        f"`{one.what}` overwrites the model that is used for predictions whatever its metrics are:"
        " nothing in the repository compares them with a threshold or the model before.",
        severity=MEDIUM,
        confidence=0.7,
    )


def _most_used(repo: AuditRepository, saved: list[Release]) -> Release:
    """Pick the save whose file the scoring code loads, if that can be told."""
    scoring = "\n".join(repo.text(p) for p in sorted({*repo.code.serving_code, *repo.code.batch}))

    def rank(one: Release) -> tuple[bool, str, int]:
        names = [
            one.view.string(a) for a in (*one.call.args, *(k.value for k in one.call.keywords))
        ]
        files = [n.rsplit("/", 1)[-1] for n in names if n and "." in n]
        return not any(f in scoring for f in files), one.view.path, one.line

    return min(saved, key=rank)


# --- CI that only reports ------------------------------------------------------------------------


def _reported_only(repo: AuditRepository) -> Iterator[Hit]:
    if gate_exists(repo) or not repo.stages.ml:
        return
    for job in repo.jobs:
        text = " ".join(c.text for s in job.steps for c in s.commands)
        if not _METRIC_TEXT.search(text) or job.disabled:
            continue
        lines = [c.line for s in job.steps for c in s.commands if _REPORTS.search(c.text)]
        lines += [s.line for s in job.steps if any(a in s.uses for a in _REPORT_ACTIONS)]
        if lines:
            yield Hit(
                job.path,
                min(lines),
                f"Job `{job.name}` publishes metrics as a comment and passes whatever they are: no"
                " threshold or comparison fails it.",
                "Add a step that compares the metrics with those of `main` and exits with 1 when they"
                " are worse.",
                severity=MEDIUM,
                confidence=0.75,
            )


# --- comparisons that decide nothing ---------------------------------------------------------------


def _champions(repo: AuditRepository) -> Iterator[Hit]:
    for path, module in repo.code.product.items():
        if (
            path in repo.code.serving
            or not module.branches
            and not module.checks
            and "None" not in repo.text(path)
        ):
            continue
        text = repo.text(path)
        if not any(
            w in text
            for w in (
                "register",
                "promot",
                "deploy",
                "alias",
                "champion",
                "challenger",
                "production",
                "stage",
                "best",
            )
        ):
            continue
        view = repo.view(path)
        if view is None:
            continue
        released = {r.call for r in releases(repo, view) if r.kind != "save"}
        for node in view.of(ast.If):
            yield from _itself(view, node)
            if released:
                yield from _swapped(view, node, released)
                yield from _first_exempt(view, node, released)


def _itself(view: View, node: ast.If) -> Iterator[Hit]:
    for compare in [node.test, *view.below(node.test, ast.Compare)]:
        if not isinstance(compare, ast.Compare) or len(compare.comparators) != 1:
            continue
        left, right = compare.left, compare.comparators[0]
        if not isinstance(compare.ops[0], (ast.Lt, ast.LtE, ast.Gt, ast.GtE)) or isinstance(
            left, ast.Constant
        ):
            continue
        texts = ast.unparse(left), ast.unparse(right)
        if not any(
            is_metric(w) or _metric_part(w)
            for t in texts
            for w in re.findall(r"\w{1,60}", t.lower())
        ):
            continue
        made = view.settled(left), view.settled(right)
        same = texts[0] == texts[1] or (
            isinstance(made[0], ast.Call)
            and isinstance(made[1], ast.Call)
            and made[0] is not made[1]
            and ast.unparse(made[0]) == ast.unparse(made[1])
        )
        if same:
            yield Hit(
                view.path,
                compare.lineno,
                f"`{texts[0]}` and `{texts[1]}` are the same value, so the challenger is compared with"
                " itself and the result is always the same.",
                "Evaluate the model in production on the same data for the other side.",
                confidence=0.9,
            )


def _metric_part(word: str) -> bool:
    return bool(_LOSSES.search(word) or _SCORES.search(word))


def _swapped(view: View, node: ast.If, released: set[ast.Call]) -> Iterator[Hit]:
    test = node.test
    if not isinstance(test, ast.Compare) or len(test.comparators) != 1:
        return
    inside = {c for s in node.body for c in ast.walk(s) if isinstance(c, ast.Call)} & released
    left, right = ast.unparse(test.left).lower(), ast.unparse(test.comparators[0]).lower()
    if not inside or not isinstance(test.ops[0], (ast.Lt, ast.LtE, ast.Gt, ast.GtE)):
        return
    wants_more = isinstance(test.ops[0], (ast.Gt, ast.GtE))
    words = [re.sub(r"\W{1,40}", "_", t) for t in (left, right)]
    if _NEW.search(words[0]) and _OLD.search(words[1]):
        new_is_more = wants_more
    elif _OLD.search(words[0]) and _NEW.search(words[1]):
        new_is_more = not wants_more
    else:
        return
    loss = all(_LOSSES.search(w) for w in words)
    score = all(_SCORES.search(w) for w in words)
    if (loss and new_is_more) or (score and not loss and not new_is_more):
        yield Hit(
            view.path,
            node.lineno,
            f"`{ast.unparse(test)[:100]}` promotes the model that is worse: of this metric"
            f" {'less' if loss else 'more'} is better.",
            "Turn the comparison round.",
            confidence=0.9,
        )


def _first_exempt(view: View, node: ast.If, released: set[ast.Call]) -> Iterator[Hit]:
    """Report a branch for the first version that releases without looking at a metric."""
    text = ast.unparse(node.test)
    empty = (
        text.startswith("not ")
        or text.endswith(("is None", "== 0", "== []"))
        or "len(" in text
        and "== 0" in text
    )
    if not empty or not _FIRST.search(text) or judges(view, node.test):
        return
    inside = [
        c for s in node.body for c in ast.walk(s) if isinstance(c, ast.Call) and c in released
    ]
    judged = any(isinstance(s, ast.If) and judges(view, s.test) for s in node.body)
    if (
        inside
        and not judged
        and not any(isinstance(up, ast.If) and judges(view, up.test) for up in view.above(node))
    ):
        yield Hit(
            view.path,
            inside[0].lineno,
            f"While there is no model yet (`{text[:60]}`), any model is promoted, however bad: the"
            " first version passes no gate.",
            "Hold the first version to an absolute threshold or a simple baseline.",
            severity=MEDIUM,
            confidence=0.65,
        )


# --- one number in the code ------------------------------------------------------------------------


def _thresholds(repo: AuditRepository) -> Iterator[Hit]:
    relevant = _training(repo) | repo.flows.modules
    paths = [p for p in repo.code.product if p not in repo.code.serving_code or p in relevant]
    if any(_CHAMPION.search(repo.text(p)) for p in paths if p in relevant):
        return
    for path in sorted(paths):
        module = repo.code.modules[path]
        if module.notebook or not (
            module.branches or module.checks or "Condition" in repo.text(path)
        ):
            continue
        view = repo.view(path)
        if view is None:
            continue
        for call in view.calls:
            if _CONDITIONS.match(view.name(call)) and _number(view, View.arg(call, "right", 1)):
                yield _fixed(
                    path, call.lineno, ast.unparse(View.arg(call, "right", 1) or call)[:40]
                )
        if path in relevant:
            for node in view.of(ast.If):
                yield from _of_if(repo, view, node)


def _number(view: View, node: ast.expr | None) -> bool:
    value = view.literal(node)
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value != 0


def _of_if(repo: AuditRepository, view: View, node: ast.If) -> Iterator[Hit]:
    released = {r.call for r in releases(repo, view)}
    inside = {c for s in (*node.body, *node.orelse) for c in ast.walk(s) if isinstance(c, ast.Call)}
    if not (inside & released or _ends(view, node)):
        return
    for compare in [node.test, *view.below(node.test, ast.Compare)]:
        if not isinstance(compare, ast.Compare) or len(compare.comparators) != 1:
            continue
        if not isinstance(compare.ops[0], (ast.Lt, ast.LtE, ast.Gt, ast.GtE)):
            continue
        sides = (compare.left, compare.comparators[0])
        numbers = [s for s in sides if _number(view, s)]
        names = [
            last(dotted(s)).lower() or ast.unparse(s).lower() for s in sides if s not in numbers
        ]
        if len(numbers) == 1 and any(is_metric(n) or _metric_part(n) for n in names):
            settled = view.settled(numbers[0])
            line = settled.lineno if settled is not None else compare.lineno
            yield _fixed(view.path, line, ast.unparse(compare)[:60])
            return


def _ends(view: View, node: ast.If) -> bool:
    """Tell whether the branch stops the run: raises or exits, not merely returns."""
    return (
        stops(view, node.body)
        and any(isinstance(s, ast.Raise) or isinstance(s, ast.Expr) for s in node.body)
        and not any(isinstance(s, (ast.Break, ast.Continue)) for s in node.body)
    )


def _fixed(path: str, line: int, what: str) -> Hit:
    return Hit(
        path,
        line,
        f"The gate knows one number in the code (`{what}`) and no model to compare with: a candidate"
        " worse than the model in production passes.",
        "Take the threshold from configuration, and compare with the champion on the same data.",
        severity=LOW,
        confidence=0.65,
    )
