"""The service is not measured, or cannot be scraped

## What it does

Reports a service that answers with a model and exposes no metric of requests, errors and latency,
once, at the service.  Also reports Prometheus targets that cannot work: a host that no service has,
a port on which the service does not listen, a path that the code does not serve, and a metrics
endpoint that answers POST only.

## Why is this bad?

A slow or failing service is noticed by its users.  A target that cannot be scraped looks like a
healthy set-up until somebody opens an empty dashboard.

## Known problems

A platform (KServe, SageMaker, a mesh) measures requests by itself; where one is described here, no
finding is made.

## Example

```yaml
scrape_configs:
  - job_name: api
    static_configs:
      - targets: ["localhost:8000"]   # inside the Prometheus container
```

## Use instead

```yaml
scrape_configs:
  - job_name: api
    static_configs:
      - targets: ["api:8000"]
```
"""

from __future__ import annotations

from collections.abc import Iterator

from mlops_advisor.tools.audit_workflow.repo import AuditRepository
from mlops_advisor.tools.audit_workflow.rule import HIGH, MEDIUM, Hit, rule
from mlops_advisor.tools.audit_workflow.rules import _docs, _monitoring, _monitoring_scrape


@rule(
    "MO06",
    name="no-service-metrics",
    dimension="monitoring",
    severity=MEDIUM,
    confidence=0.8,
    fix=(
        "Expose requests, errors and latency at GET /metrics (`Instrumentator().instrument(app)"
        ".expose(app)`) and scrape that."
    ),
    effort=(0.5, 2),
    sources=(
        "ml_test_score: Monitor 6, no regression in latency, throughput or RAM usage",
        "google_sre: chapter 6, monitoring distributed systems: the four golden signals",
        "prometheus_docs: Practices, Instrumentation, online-serving systems",
    ),
    absence=True,
    searched=(
        "Prometheus, OpenTelemetry, StatsD, Datadog and CloudWatch metrics in the service, scrape "
        "settings, dashboards"
    ),
    practice="service_metrics",
)
def no_service_metrics(repo: AuditRepository) -> Iterator[Hit]:
    """Report a service without metrics, and metrics that cannot be scraped."""
    found = (*_monitoring_scrape.faults(repo), *_monitoring_scrape.cluster_faults(repo))
    broken = [f for f in found if not _docs.aside(repo, f.path)]
    for fault in broken:
        yield Hit(
            fault.path,
            fault.line,
            fault.why,
            "Name the host, port and path under which the service answers GET with its metrics.",
            severity=HIGH,
        )
    yield from _posts(repo)
    if broken or _docs.is_course(repo) or _by_platform(repo):
        return
    none = repo.absent("service_metrics") is not None
    told: set[str] = set()
    seen = _monitoring.shown_in(repo, "service_metrics")
    for path, alone in _monitoring.lacking(repo, seen, none=none):
        home = _monitoring.home_of(repo, path)
        if home not in told:
            told.add(home)
            other = "" if alone else "; another service here is measured"
            yield Hit(
                path,
                repo.code.serving[path],
                "This service exposes no metric of requests, errors or latency, and nothing in "
                f"the repository measures it from outside{other}.",
                confidence=0.7 if alone else 0.6,
            )


def _posts(repo: AuditRepository) -> Iterator[Hit]:
    """Metrics endpoints that a scraper cannot read."""
    for path in sorted(repo.code.product):
        module = repo.code.modules[path]
        if "prometheus" not in repo.text(path) or module.notebook:
            continue
        routes = _monitoring_scrape.metric_routes(repo, frozenset((path,)))
        for route, methods in routes.items():
            if route.endswith("metrics") and "get" not in methods:
                line = next(
                    (c.line for c in module.calls if c.text_of("path", 0).rstrip("/") == route), 1
                )
                why = (
                    f"`{route}` answers {', '.join(sorted(methods)).upper()} only; a scraper "
                    "sends GET."
                )
                yield Hit(path, line, why, "Answer GET at this path.", severity=HIGH)


def _by_platform(repo: AuditRepository) -> bool:
    """Tell whether the platform that serves measures requests by itself."""
    if any(
        m.kind in ("InferenceService", "SeldonDeployment", "RayService", "VirtualService")
        for m in repo.manifests
    ):
        return True
    kinds = ("bentoml.", "ray.serve.", "mlserver.", "kserve.", "seldon_core.", "litserve.")
    return any(
        c.name.startswith(kinds) for p in repo.code.serving for c in repo.code.modules[p].calls
    ) or any(
        f.last == "lambda_handler"
        for p in repo.code.serving
        for f in repo.code.modules[p].functions
    )
