"""Endpoint without authentication, or one that fetches what a client names

## What it does

Looks for settings that open a service to everybody (`--allow-unauthenticated`, `allUsers`, API
gateway authorizer `NONE`, function URL auth `NONE`, Azure container instances without
`authEnabled`), for services that predict, train or
administrate without any sign of authentication while an ingress, load balancer, cloud deployment
or published port makes them reachable, and for endpoints that fetch or open a URL or path that
the client sends.

## Why is this bad?

Anybody can use up the service, copy the model by asking it often enough, or start training.  A
server that fetches any address given reaches the internal network and the metadata service of the
cloud, and hands out what it finds.

## Known problems

Authentication by a proxy or service mesh that the repository does not show is not seen.

## Example

```python
@app.post("/evaluate")
def evaluate(data: dict):
    return report(pd.read_csv(data["url"]))
```

## Use instead

```python
@app.post("/evaluate", dependencies=[Depends(authenticated)])
def evaluate(request: EvaluationRequest):
    return report(pd.read_csv(DATASETS[request.dataset]))
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from posixpath import dirname, normpath
from typing import Final

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, LOW, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules._open_endpoints import OPEN, open_endpoints
from mlops_advisor.tools.audit_workflow.rules._serving import (
    Endpoint,
    endpoints,
    serving_images,
    started_near,
)
from mlops_advisor.tools.audit_workflow.rules._taint import fetches
from mlops_advisor.tools.evidence.workloads import Workload

_OPEN_TERRAFORM: Final = re.compile(
    r"(?:authorization_type|authorization)\s{0,20}=\s{0,4}\"NONE\"|"
    r"member\s{0,20}=\s{0,4}\"allUsers\"|"
    r"members\s{0,20}=\s{0,4}\[\s{0,4}\"allUsers\"|invoker_iam_disabled\s{0,20}=\s{0,4}true"
)
_OPEN_TYPES: Final = (
    "aws_lambda_function_url",
    "aws_api_gateway_method",
    "aws_apigatewayv2_route",
    "google_cloud_run",
    "google_cloudfunctions",
)
_SIGNS: Final = re.compile(
    r"HTTPBearer|HTTPBasic|APIKeyHeader|APIKeyQuery|OAuth2|login_required|jwt|Authorization|"
    r"[xX]-[aA][pP][iI]-[kK][eE][yY]|api_key|apikey|API_KEY|basic_auth|verify_token|authenticat|"
    r"authoriz|"
    r"Security\(|current_user|AUTH_TOKEN|auth_required|require_auth|get_current|IAP|cognito"
)
_GUARDED: Final = (
    "AuthorizationPolicy",
    "RequestAuthentication",
    "SecurityPolicy",
    "BackendConfig",
)
_CLOUD: Final = re.compile(
    r"\bgcloud run deploy|\bheroku\b|\bfly(?:ctl)? deploy|\baws (?:apprunner|ecs|lightsail)|"
    r"\baz (?:webapp|"
    r"containerapp)|\beb deploy|\brailway up|\bserverless deploy|\bsls deploy|\bsam deploy"
)


@rule(
    "DS17",
    name="unauthenticated-endpoint",
    dimension="deployment",
    severity=MEDIUM,
    confidence=0.75,
    fix="Require a credential for everything but health checks"
    " (`dependencies=[Depends(authenticated)]`, an authorizer at the gateway, or an identity-aware"
    " proxy), and limit the rate.",
    effort=(0.5, 3.0),
    sources=(
        "owasp_api: API2:2023 Broken Authentication, API7:2023 Server Side Request Forgery",
        "owasp_ml: ML05:2023 Model Theft, access control",
    ),
)
def unauthenticated_endpoint(repo: AuditRepository) -> Iterator[Hit]:
    """Report endpoints that everybody may use, and requests that servers make for clients."""
    if not repo.stages.ml:
        return
    found = [e for p in _web_modules(repo) if (v := repo.view(p)) for e in endpoints(repo, v)]
    yield from _forged(repo, found)
    opened = list(_settings(repo))
    yield from opened
    if not opened and not repo.kinds(*_GUARDED):
        yield from _open_services(repo, found)


def _web_modules(repo: AuditRepository) -> list[str]:
    serving = repo.code.serving_code
    roots = frozenset(
        (
            "fastapi",
            "flask",
            "starlette",
            "bentoml",
            "ray",
            "flask_restful",
            "aiohttp",
            "sanic",
            "functions_framework",
            "quart",
            "litestar",
        )
    )
    return [
        p
        for p, m in repo.code.product.items()
        if not m.notebook
        and (p in serving or m.roots & roots)
        and (p in repo.code.serving or m.roots & roots)
    ]


# --- requests that a server makes for its clients -------------------------------------------


def _forged(repo: AuditRepository, found: list[Endpoint]) -> Iterator[Hit]:
    for endpoint in found:
        if endpoint.style not in ("http", "ray", "bentoml", "lambda"):
            continue
        for fetch in fetches(repo, endpoint):
            sink = fetch.view.name(fetch.sink)
            yield Hit(
                fetch.path,
                fetch.line,
                f"{endpoint.name} hands `{fetch.value}`, which the client chooses, to `{sink}` at"
                f" {fetch.view.path}:{fetch.sink.lineno}: the server fetches or opens whatever is"
                " named, in the internal network as well.",
                "Accept a name from a list of known sources, or check scheme and host against an"
                " allow list before anything is fetched.",
                also=((fetch.view.path, fetch.sink.lineno),),
                severity=HIGH,
                confidence=0.8,
            )


# --- settings that open a service ------------------------------------------------------------


def _settings(repo: AuditRepository) -> Iterator[Hit]:
    seen: set[tuple[str, int]] = set()
    for run in repo.runs.everything:
        found = OPEN.search(run.text)
        if found and (run.path, run.line) not in seen and not _is_tracking(run.text):
            seen.add((run.path, run.line))
            line = repo.line_of(run.path, found.group(0), run.line - 1) or run.line
            yield _opened(run.path, line if line <= run.line + 60 else run.line, found.group(0))
    for path, block in repo.resources(*_OPEN_TYPES):
        for line, text in block.body:
            found = _OPEN_TERRAFORM.search(text[:600])
            if found:
                yield _opened(path, line, " ".join(found.group(0).split()))
    for path, line, what in open_endpoints(repo):
        if (path, line) not in seen:
            seen.add((path, line))
            yield _opened(path, line, what)


def _is_tracking(text: str) -> bool:
    return "mlflow" in text and "serve" not in text


def _opened(path: str, line: int, what: str) -> Hit:
    return Hit(
        path,
        line,
        f"`{what}` lets everybody on the internet call this service.",
        confidence=0.85,
    )


# --- services that are reachable --------------------------------------------------------------


def _open_services(repo: AuditRepository, found: list[Endpoint]) -> Iterator[Hit]:
    public = _public(repo)
    by_module: dict[str, list[Endpoint]] = {}
    for endpoint in found:
        if endpoint.style in ("http", "ray", "bentoml") and endpoint.does != "other":
            by_module.setdefault(endpoint.view.path, []).append(endpoint)
    for path, group in sorted(by_module.items()):
        exposure = public or _published(repo, path)
        if exposure is None or any(_SIGNS.search(repo.text(p)) for p in repo.code.closure([path])):
            continue
        words, place = exposure
        chosen = [next((e for e in group if e.does == "predict"), group[0])]
        chosen += [e for e in group if e.does in ("train", "admin") and e is not chosen[0]]
        for endpoint in chosen:
            heavy = endpoint.does != "predict"
            yield Hit(
                path,
                endpoint.line,
                f"{endpoint.name} asks for no credential, and {words}.",
                also=(place,),
                severity=MEDIUM if public or heavy else LOW,
                confidence=0.8 if public else 0.6,
            )


def _public(repo: AuditRepository) -> tuple[str, tuple[str, int]] | None:
    """How everybody reaches the services of this repository: words, and the place."""
    for manifest in repo.kinds("Ingress", "HTTPRoute", "Gateway", "VirtualService"):
        if "auth" not in repo.text(manifest.path).lower():
            return f"a {manifest.kind} leads to it", (manifest.path, manifest.line)
    for manifest in repo.kinds("Service"):
        kind = manifest.node.text_at("spec", "type")
        if kind in ("LoadBalancer", "NodePort"):
            return f"a {kind} service publishes it", (manifest.path, manifest.line)
    for run in repo.runs.everything:
        if run.counts and _CLOUD.search(run.text):
            return f"{run.at} deploys it to a cloud", run.where
    return None


def _published(repo: AuditRepository, path: str) -> tuple[str, tuple[str, int]] | None:
    """How others in the network reach the container that runs a module."""
    for work in repo.workloads:
        folder = _context(work)
        if folder is None or not path.startswith(folder):
            continue
        for port in work.ports:
            if port.published and not port.host.startswith(("127.", "localhost", "::1")):
                words = f"compose publishes port {port.published} on all addresses"
                return words, (work.path, port.line)
    for image, (line, text) in serving_images(repo).items():
        started = started_near(repo, image, text)
        texts = (text, *(repo.text(p) for p in started))
        if path in started and any("0.0.0.0" in t for t in texts):  # noqa: S104 - not bound
            return f"its image listens on all addresses ({image}:{line})", (image, line)
    return None


def _context(work: Workload) -> str | None:
    """Folder that a compose service is built from, with a slash; None when it is not built."""
    build = work.node.child("build")
    if work.system != "compose" or build is None:
        return None
    folder = normpath(f"{dirname(work.path)}/{build.text_at('context') or build.text or '.'}")
    folder = folder.strip("/")
    return "" if folder in (".", "") else f"{folder}/"
