"""What is written at the rules: ids and names that stay, documentation, fixes, sources."""

from __future__ import annotations

import re
import sys
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest
from auditing import SPECS

from mlops_advisor.resources.loaders import bundled
from mlops_advisor.tools.audit_workflow import rules as package
from mlops_advisor.tools.audit_workflow.plan import AFTER
from mlops_advisor.tools.audit_workflow.rule import Rule
from mlops_advisor.tools.audit_workflow.rules import all_rules
from mlops_advisor.tools.common.models import DimensionId

# Ids and names are public: baselines, suppression comments and other tools hold them.
CATALOGUE = """\
DM01 data-not-versioned
DM02 data-file-in-git
DM03 dvc-incomplete
DM05 no-data-validation
DM06 leakage-fit-before-split
DM07 leakage-test-used-for-selection
DM08 leakage-target-feature
DM09 temporal-data-random-split
DM10 unseeded-split
DM11 no-stratify
DM12 oversample-before-split
DM13 training-serving-duplicate-feature-code
DM14 preprocessing-not-persisted
DM15 label-required-at-inference
DM16 dataframe-api-misuse
DM17 feature-store-definition-hygiene
TR01 unseeded-estimator-or-framework
TR03 unseeded-hpo
TR04 no-experiment-tracking
TR05 incomplete-run-metadata
TR06 run-lineage-broken
TR07 tracking-store-local
TR08 hyperparameters-in-code
TR09 trivial-or-debug-search
TR10 no-holdout-evaluation
TR11 single-or-unsuitable-metric
TR12 best-run-wrong-direction
TR13 dl-mode-or-grad-misuse
TR14 evaluation-on-training-data
TR15 warnings-or-errors-suppressed
TR16 notebook-as-production
TR17 model-binary-in-git
TR18 training-data-in-artifact
TR19 pretrained-revision-unpinned
TR20 deprecated-ml-api
PL01 no-orchestrated-pipeline
PL02 task-without-retries
PL03 no-failure-notification
PL04 dynamic-or-missing-start-date
PL05 heavy-work-at-parse
PL06 schedule-absent
PL07 local-disk-handoff
PL08 shell-out-unchecked
PL09 missing-step-dependency
PL10 stale-cache
PL11 service-run-inside-orchestrator
PL12 hardcoded-environment
PL14 interactive-step
PL15 output-written-to-trigger-source
PL16 no-timeout-http
PL17 undefined-or-broken-reference
DS01 no-model-quality-gate
DS02 model-version-floating
DS03 image-tag-mutable
DS05 train-in-image-build
DS06 container-runs-as-root
DS07 dev-server-in-production
DS08 no-input-validation
DS09 error-as-success
DS11 no-probes-limits-or-timeouts
DS12 no-safe-rollout
DS13 deploy-not-gated-by-tests
DS14 training-serving-version-skew
DS16 monitoring-io-in-request-path
DS17 unauthenticated-endpoint
MO01 no-drift-or-quality-monitoring
MO02 monitoring-not-scheduled
MO03 monitoring-without-alert
MO04 monitoring-config-mismatch
MO05 predictions-not-logged
MO06 no-service-metrics
MO08 sensitive-data-in-logs
GS01 hardcoded-secret
GS02 default-credentials
GS03 datastore-or-admin-ui-exposed
GS04 unsafe-deserialization
GS05 malicious-or-unscannable-model-file
GS06 dependencies-unpinned
GS07 dependency-name-risk
GS08 eol-runtime
GS09 gha-unpinned-action
GS10 gha-permissions
GS11 gha-dangerous-pattern
GS12 long-lived-cloud-keys
GS13 tfstate-or-sensitive-file-tracked
GS14 iac-storage-unprotected
GS15 iac-unreviewed-apply
GS16 docker-socket-or-privileged
GS17 airflow-insecure-config
GS18 no-model-documentation
GS19 no-approval-or-audit-trail
TP01 no-tests
TP02 vacuous-test
TP03 test-not-of-real-code
TP04 no-ci
TP05 ci-not-on-pull-request
TP06 no-lint-type-precommit
TP07 no-model-or-data-tests
TP08 docs-claim-without-evidence
TP09 repo-hygiene
"""
NAMES = dict(line.split() for line in CATALOGUE.splitlines())
ADDED = {"GS20": "rights-too-broad"}  # since the catalogue
ALL = NAMES | ADDED
SECTIONS = (
    "## What it does",
    "## Why is this bad?",
    "## Known problems",
    "## Example",
    "## Use instead",
)
DIMENSIONS = {
    "data_management",
    "model_training",
    "deployment",
    "monitoring",
    "governance",
    "team_practices",
}
FILLER = re.compile(
    r"(?i)\b(todo|tbd|fixme|xxx|lorem|it is important to note|best practices?|in order to|"
    r"as an ai|delve|leverage|robust|seamless|crucial|comprehensive|and so on)\b"
)
SOURCE = re.compile(r"^([a-z0-9_]+): (\S.{2,300})$")

each_rule = pytest.mark.parametrize("rule", all_rules(), ids=lambda r: r.id)


def module_of(rule: Rule) -> str:
    check = rule.check or rule.check_module
    assert check is not None
    return check.__module__


def test_the_catalogue_is_there_in_full_and_holds_a_hundred_rules() -> None:
    assert len(NAMES) == 100
    missing = sorted(set(NAMES) - {r.id for r in all_rules()})
    assert not missing, f"{len(missing)} rules of the catalogue are not there yet: {missing}"


def test_every_rule_file_holds_one_rule_called_as_the_file() -> None:
    folder = Path(str(package.__file__)).parent
    files = sorted(p.stem for p in folder.glob("*.py") if not p.name.startswith("_"))

    assert files == sorted(r.id.lower() for r in all_rules())


def test_names_are_unique() -> None:
    twice = [name for name, n in Counter(r.name for r in all_rules()).items() if n > 1]
    assert twice == []
    titles = [title for title, n in Counter(r.title for r in all_rules()).items() if n > 1]
    assert titles == []


def test_every_spec_belongs_to_a_rule() -> None:
    assert {p.stem for p in SPECS.glob("*.md")} <= set(ALL)


def test_the_plan_knows_only_rules_of_the_catalogue() -> None:
    assert {*AFTER, *(r for group in AFTER.values() for r in group)} <= set(ALL)


def test_dimensions_are_those_of_the_rubric() -> None:
    assert set(get_args(DimensionId)) == set(bundled().dimensions) == DIMENSIONS


@each_rule
def test_id_and_name_are_those_of_the_catalogue(rule: Rule) -> None:
    assert ALL.get(rule.id) == rule.name
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.name)
    assert module_of(rule).rpartition(".")[2] == rule.id.lower()


@each_rule
def test_a_rule_has_a_spec_with_its_name(rule: Rule) -> None:
    spec = SPECS / f"{rule.id}.md"

    assert spec.is_file()
    assert spec.read_text("utf-8").startswith(f"# {rule.id} {rule.name}\n")


@each_rule
def test_severity_confidence_and_effort_are_in_range(rule: Rule) -> None:
    assert rule.dimension in DIMENSIONS
    assert 0.3 <= rule.confidence <= 1
    low, high = rule.effort_days
    assert 0 < low <= high <= 60


@each_rule
def test_a_rule_checks_the_repository_or_modules_or_both(rule: Rule) -> None:
    assert rule.check is not None or rule.check_module is not None


@each_rule
def test_the_title_says_in_short_what_is_wrong(rule: Rule) -> None:
    assert 10 <= len(rule.title) <= 80
    assert rule.title[0].isupper() or rule.title[0] == "`"
    assert not rule.title.endswith((".", ":", "!"))


def sections(rule: Rule) -> dict[str, str]:
    """Texts of the documentation by heading; a heading inside a code block is none."""
    found: dict[str, list[str]] = {"": []}
    lines, fenced = found[""], False
    for line in rule.doc.split("\n"):
        fenced ^= line.startswith("```")
        if line.startswith("## ") and not fenced:
            lines = found[line] = []
        else:
            lines.append(line)
    assert not fenced, "a code block is not closed"
    return {heading: "\n".join(part) for heading, part in found.items()}


@each_rule
def test_the_documentation_has_its_sections_in_order_and_no_filler(rule: Rule) -> None:
    parts = sections(rule)
    assert tuple(parts)[1:] == SECTIONS
    assert parts[""].strip() == rule.title
    for heading in SECTIONS[:3]:
        assert len(parts[heading].split()) >= 8, f"{heading} says too little"
    prose = re.sub(r"```.*?```|`[^`\n]*`", " ", rule.doc, flags=re.DOTALL)
    assert FILLER.findall(prose) == []


@each_rule
def test_the_example_is_code_and_so_is_its_mending(rule: Rule) -> None:
    bad, good = (
        re.findall(r"```\w*\n(.+?)```", sections(rule)[heading], re.DOTALL)
        for heading in SECTIONS[-2:]
    )
    assert bad or rule.absence, "no code under Example"
    assert good, "no code under Use instead"
    assert bad != good


@each_rule
def test_the_fix_says_what_to_do(rule: Rule) -> None:
    assert 25 <= len(rule.fix) <= 600
    assert rule.fix.endswith((".", "`", ")"))
    assert FILLER.findall(rule.fix) == []
    assert rule.fix != rule.title


@each_rule
def test_every_source_is_known_and_says_where(rule: Rule) -> None:
    known = bundled().sources
    assert rule.sources
    assert len(set(rule.sources)) == len(rule.sources)
    for source in rule.sources:
        found = SOURCE.match(source)
        assert found, f"not `source_id: where`: {source!r}"
        assert found.group(1) in known, f"{found.group(1)} is no source"


@each_rule
def test_a_rule_of_something_missing_names_where_it_searched(rule: Rule) -> None:
    if rule.absence:
        assert len(rule.searched.split()) >= 3


@each_rule
def test_the_practice_that_a_rule_speaks_of_exists(rule: Rule) -> None:
    assert rule.practice == "" or rule.practice in bundled().practices


@each_rule
def test_a_rule_file_has_one_purpose_and_a_readable_length(rule: Rule) -> None:
    path = Path(str(sys.modules[module_of(rule)].__file__))

    assert len(path.read_text("utf-8").split("\n")) <= 450
