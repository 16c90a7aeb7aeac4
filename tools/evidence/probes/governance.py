"""Owners, cards, approvals, definitions, access."""

from __future__ import annotations

import re
from typing import Final

from mlops_advisor.tools.evidence.parse.data import line_of
from mlops_advisor.tools.evidence.parse.markdown import Document
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
from mlops_advisor.tools.evidence.probes._deploy import deploy_jobs
from mlops_advisor.tools.evidence.repository import Repository

_CARD: Final = re.compile(r"model[ _-]?card|modelcard")
_CARD_PARTS: Final = (
    "intended use",
    "limitation",
    "training data",
    "metric",
    "evaluation",
    "performance",
    "ethical",
    "caveat",
    "out-of-scope",
    "out of scope",
    "bias",
)
_APPROVAL_ACTIONS: Final = (
    "trstringer/manual-approval",
    "approval",
    "manualvalidation@",
    "lehtihet/manual-approval",
)
_PENDING: Final = "PendingManualApproval"
_EMPTY_OWNERS: Final = (
    "",
    "airflow",
    "todo",
    "tbd",
    "unknown",
    "none",
    "owner",
    "your-team",
    "team-name",
    "x",
)
_OWNER_LINE: Final = re.compile(
    r"[\W_]{0,6}(?:model )?(?:owner|owned by|maintainer|contact)s?\W.{4}"
)
_PLACEHOLDER: Final = re.compile(
    (
        r"\b(?:todo|tbd|lorem ipsum|fill in|more information needed)\b|"
        r"<[a-z][^>\n]{2,60}>|\[(?:insert|your)[^\]\n]{0,60}\]"
    ),
    re.IGNORECASE,
)
_MIN_PARTS: Final = 2
_MIN_PURPOSE: Final = 15  # characters: less says nothing


@probe(
    "owner",
    practice="model_owner",
    asks="Does every model have a named owner?",
    searched="CODEOWNERS, owner fields in model cards, manifests, catalogue files and pipelines",
)
def _owner(repo: Repository) -> Verdict:
    fields = [*_owners_in_yaml(repo), *_owners_in_cards(repo), *_owners_in_code(repo)]
    owners = _code_owners(repo)
    if fields and repo.stages.ml:
        detail = "A model, pipeline or feature names its owner."
        return present(repo, W, detail, fields + owners[:1])
    if owners:
        detail = "CODEOWNERS names who answers for the code; no model names its owner."
        return present(repo, C, detail, owners)
    if repo.stages.ml:
        return unknown("No owner is named here; the owner may be named elsewhere.")
    return not_applicable("No model is here.")


def _owners_in_yaml(repo: Repository) -> list[tuple[str, int]]:
    return [
        (file.path, n.key_line)
        for file in repo.yaml_files(holding=("owner:", "owners:"))
        if "/.github/" not in f"/{file.path}"
        for doc in file.docs
        for _, n in doc.find("owner", "owners", "model_owner")
        if n.items or n.text.lower() not in _EMPTY_OWNERS
    ]


def _owners_in_cards(repo: Repository) -> list[tuple[str, int]]:
    return [
        (card.path, sentence.line)
        for card in repo.documents
        if _CARD.search(card.path.lower())
        for sentence in card.sentences
        if _OWNER_LINE.match(sentence.text.lower())
    ]


def _owners_in_code(repo: Repository) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for path, module in repo.code.product.items():
        values = [
            (value, line)
            for name, (value, line) in module.constants.items()
            if name.endswith((".owner", "OWNER"))
        ]
        values += [(c.kwargs["owner"], c.line) for c in module.calls if "owner" in c.kwargs]
        found += [
            (path, line)
            for value, line in values
            if isinstance(value, str) and value.lower() not in _EMPTY_OWNERS
        ][:1]
    return found


def _code_owners(repo: Repository) -> list[tuple[str, int]]:
    found = []
    for path in repo.named("codeowners"):
        for i, line in enumerate(repo.lines(path), 1):
            if "@" in line and not line.lstrip().startswith("#"):
                found.append((path, i))
                break
    return found


@probe(
    "cards",
    practice="model_cards",
    asks="Does each release have a model card?",
    searched="model card documents and their sections, calls that write cards in training code",
)
def _cards(repo: Repository) -> Verdict:
    code = repo.code
    makers = spots(
        code.calls(
            "model_card_toolkit.",
            "huggingface_hub.ModelCard",
            "huggingface_hub.ModelCard.from_template",
            "huggingface_hub.EvalResult",
            "skops.card.",
            "sagemaker.model_card.",
            "*.create_model_card",
            "*.generate_model_card",
            "*.write_model_card",
            "*.render_model_card",
            "*.push_model_card",
        )
    )
    makers += [
        Spot(path, module.functions[0].line)
        for path, module in code.product.items()
        if _CARD.search(path.lower()) and module.functions
    ]
    verdict = from_code(repo, "A model card is written by code", makers)
    if verdict is not None and verdict.strength is not None and verdict.strength > C:
        return verdict
    found = [
        d
        for d in repo.documents
        if _CARD.search(d.path.lower()) and "template" not in d.path.lower()
    ]
    found += [
        d
        for d in repo.documents
        if d not in found and any(_CARD.search(t) for _, _, t in d.headings)
    ]
    full = [d for d in found if _parts(d) >= _MIN_PARTS and not _hollow(repo, d)]
    if full:
        return present(
            repo,
            C,
            "A model card is written; nothing shows that it is made at each release.",
            [(d.path, _card_line(d)) for d in full],
        )
    if verdict is not None:
        return verdict
    if found:
        return present(
            repo,
            C,
            "A model card exists, but most of it is empty or placeholder.",
            [(d.path, _card_line(d)) for d in found],
        )
    if repo.stages.training is not None:
        return absent(repo, "Training is here, and no model card.", [repo.stages.training])
    return not_applicable("Nothing here trains a model.")


def _parts(doc: Document) -> int:
    titles = " ".join(t for _, _, t in doc.headings)
    return sum(p in titles for p in _CARD_PARTS)


def _hollow(repo: Repository, doc: Document) -> bool:
    text = repo.text(doc.path)
    return len(doc.sentences) < _MIN_PARTS or len(_PLACEHOLDER.findall(text[:50_000])) * 3 > len(
        doc.sentences
    )


def _card_line(doc: Document) -> int:
    return next((line for line, _, title in doc.headings if _CARD.search(title)), 1)


@probe(
    "approval",
    practice="release_approval",
    asks="Does a release need a recorded approval?",
    searched=(
        "manual steps before production in CI, approval states of registries, "
        "protected environments as code"
    ),
)
def _approval(repo: Repository) -> Verdict:
    verdict = first_of(repo, _waits, _pending, _protected)
    if verdict is not None:
        return verdict
    automatic = [(j.path, line) for j, line in deploy_jobs(repo) if j.automatic]
    if automatic and repo.stages.scoring is not None:
        return absent(repo, "CI deploys here, and no step waits for an approval.", automatic)
    if repo.stages.ml:
        return unknown("Files do not tell who approves a release.")
    return not_applicable("No model is here.")


def _waits(repo: Repository) -> Verdict | None:
    deploying = {id(j) for j, _ in deploy_jobs(repo)}
    found: list[tuple[str, int]] = []
    for job in (j for j in repo.jobs if not j.disabled):
        production = id(job) in deploying or "prod" in f"{job.environment} {job.name}".lower()
        if (job.manual and production and not job.soft) or job.condition == "input":
            found.append((job.path, job.line))
        found += [
            (job.path, s.line)
            for s in job.steps
            if not s.disabled and s.uses.lower().startswith(_APPROVAL_ACTIONS)
        ]
    found += [
        (p, line)
        for p, b in repo.resources("github_repository_environment")
        if (line := b.has("reviewers"))
    ]
    found += [
        (m.path, n.key_line)
        for m in repo.kinds("Workflow", "WorkflowTemplate")
        for _, n in m.node.find("suspend")
        if n.map is not None
    ]
    if not found:
        return None
    return present(repo, E, "A release waits for a person's approval.", found)


def _pending(repo: Repository) -> Verdict | None:
    names = ("sagemaker.", "*.register", "*.create_model_package", "*.update_model_package")
    pending = [
        h
        for h in repo.code.calls(*names)
        if _PENDING in h.call.kwargs.values()
        or "approval_status" in h.call.kwargs
        or "ModelApprovalStatus" in h.call.kwargs
    ]
    verdict = from_code(repo, "A registered model waits for approval", spots(pending))
    if verdict is not None:
        return verdict
    found = [
        (p, line_of(repo.text(p), _PENDING))
        for p in repo.ending(".py", ".yml", ".yaml", ".json")
        if _PENDING in repo.text(p)
    ]
    return present(repo, W, "A registered model waits for approval.", found) if found else None


def _protected(repo: Repository) -> Verdict | None:
    found = [(j.path, j.environment_line) for j in repo.jobs if "prod" in j.environment.lower()]
    if not found:
        return None
    detail = "Production is a named environment; whether it asks for approval is not in the files."
    return present(repo, C, detail, found)


@probe(
    "data_notes",
    practice="data_definitions",
    asks="Are sources, meaning and permitted use of training data documented?",
    searched=(
        "data dictionaries, data sheets, described columns of dbt, Feast and Great Expectations"
    ),
)
def _data_notes(repo: Repository) -> Verdict:
    for doc in repo.documents:
        low = doc.path.lower()
        named = any(
            w in low
            for w in (
                "data_dictionary",
                "data-dictionary",
                "datasheet",
                "data_sheet",
                "data-sheet",
                "data_card",
                "datacard",
                "data-card",
            )
        )
        headed = [
            line
            for line, _, t in doc.headings
            if re.search(
                (
                    r"data dictionary|data ?sheet|data card|dataset description|data "
                    r"description|about the data|data sources?$|^data$|^dataset$"
                ),
                t,
            )
        ]
        if (named or headed) and (
            named or len([s for s in doc.sentences if s.line > headed[0]]) > _MIN_PARTS
        ):
            return present(
                repo, C, "A document describes the data.", [(doc.path, headed[0] if headed else 1)]
            )
    described = [
        (f.path, n.key_line)
        for f in repo.yaml_files(holding=("description:",), named=("schema.yml", "sources.yml"))
        for d in f.docs
        for m in [*d.list_at("models"), *d.list_at("sources")]
        for _, n in m.find("columns")
        if any(c.text_at("description") for c in n.list_at())
    ]
    if described:
        return present(repo, W, "Columns are described beside the code that makes them.", described)
    if repo.stages.training is not None:
        return absent(
            repo, "Training is here, and its data is described nowhere.", [repo.stages.training]
        )
    return not_applicable("Nothing here trains a model.")


@probe(
    "purpose",
    practice="purpose_documented",
    asks="Are purpose, users and limits of the model written down?",
    searched="model cards and documents with sections on intended use and limits",
)
def _purpose(repo: Repository) -> Verdict:
    for doc in repo.documents:
        for line, _, title in doc.headings:
            if re.search(
                (
                    r"intended use|purpose|use case|problem statement|business (?:problem|"
                    r"goal|objective)|out[- ]of[- ]scope|limitations?"
                ),
                title,
            ):
                body = [s for s in doc.sentences if s.headings and s.headings[-1] == title]
                if body and not _PLACEHOLDER.search(body[0].text):
                    return present(
                        repo, C, "A document states the purpose or the limits.", [(doc.path, line)]
                    )
    for file in repo.yaml_files(holding=("purpose:", "intended_use:")):
        for tree in file.docs:
            for _, node in tree.find("purpose", "intended_use"):
                if (
                    len(node.text) > _MIN_PURPOSE
                    and repo.stages.ml
                    and "/.github/" not in f"/{file.path}"
                ):
                    return present(
                        repo,
                        C,
                        "A file of the model states its purpose.",
                        [(file.path, node.key_line)],
                    )
    if repo.stages.ml:
        return unknown("No document here states purpose and limits.")
    return not_applicable("No model is here.")


@probe(
    "access",
    practice="access_control",
    asks="Is access to data, models and production given by role?",
    searched="roles and bindings in Kubernetes and Terraform",
)
def _access(repo: Repository) -> Verdict:
    found = [
        (m.path, m.line)
        for m in repo.kinds(
            "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "AuthorizationPolicy"
        )
    ]
    blocks = repo.resources(
        "aws_iam_role",
        "aws_iam_policy",
        "google_project_iam",
        "google_service_account",
        "azurerm_role_assignment",
        "google_storage_bucket_iam",
        "databricks_permissions",
        "databricks_grants",
    )
    broad = [
        (p, b.line)
        for p, b in blocks
        if re.search(
            r'"(?:actions?|resources?)"?\s{0,4}[:=]\s{0,4}\[?\s{0,4}"\*"', b.text(), re.IGNORECASE
        )
        or "roles/owner" in b.text()
        or "AdministratorAccess" in b.text()
    ]
    if broad:
        return present(repo, C, "Access is given by role, but some roles may do everything.", broad)
    found += [(p, b.line) for p, b in blocks]
    if found:
        return present(repo, W, "Access is given by roles that are written as code.", found)
    return unknown("Access rules are not in the files.")


@probe(
    "risk_class",
    practice="risk_classification",
    asks="Does each model have a risk class that decides its controls?",
    searched="fields such as risk_class in files of the model, documents on risk class",
)
def _risk_class(repo: Repository) -> Verdict:
    names = ("risk_class", "risk_level", "risk_tier", "risk_category")
    if repo.stages.ml:
        for file in repo.yaml_files(holding=names):
            for doc in file.docs:
                for _, node in doc.find(*names):
                    if node.text:
                        return present(
                            repo,
                            C,
                            "A file of the model names its risk class.",
                            [(file.path, node.key_line)],
                        )
    for card in repo.documents:
        for line, _, title in card.headings:
            if re.search(r"risk (?:class|classification|tier|level|category)", title):
                return present(repo, C, "A document states a risk class.", [(card.path, line)])
    return (
        unknown("No risk class is written here.")
        if repo.stages.ml
        else not_applicable("No model is here.")
    )


@probe(
    "impact",
    practice="impact_assessment",
    asks="Is the impact on people assessed before release?",
    searched="documents on impact or risk assessment",
)
def _impact(repo: Repository) -> Verdict:
    for card in repo.documents:
        named = re.search(
            r"impact[-_ ]?assessment|risk[-_ ]?assessment|dpia|fria", card.path.lower()
        )
        if named and "template" not in card.path.lower() and len(card.sentences) > _MIN_PARTS:
            return present(
                repo,
                C,
                "An assessment is written; nothing shows that a release waits for it.",
                [(card.path, 1)],
            )
    return (
        unknown("No assessment is written here.")
        if repo.stages.ml
        else not_applicable("No model is here.")
    )
