"""audit_workflow: the auditor that names the file and the line."""

NAME = "audit_workflow"
TITLE = "Audit an ML workflow"
DESCRIPTION = (
    "Reads an ML repository (Python, notebooks, YAML, Dockerfiles, CI, Terraform, docs) and "
    "reports defects a reviewer would raise: leakage, unseeded splits, gates that gate nothing, "
    "unsafe model loading, secrets, unmonitored serving, docs that claim what is not there. Each "
    "finding has file, line, severity, why and the change to make; nothing is executed. Use it to "
    "review a workspace or `files`. Not for scoring maturity or choosing tools. "
    'Example: {"workspace": ".", "min_severity": "medium"}'
)
