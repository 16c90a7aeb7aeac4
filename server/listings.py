"""What `resources/list`, `resources/templates/list` and `prompts/list` show.

A client that knows templates reads `mlops://practices/{id}{?format}`; one that does not finds
the rubric, its dimensions, the principles and the rules as plain entries of `resources/list`.
"""

from __future__ import annotations

from typing import Any, Final

JSON: Final = "application/json"
MARKDOWN: Final = "text/markdown"
FORMATS: Final = ("json", "markdown")
# The ids stand here so that a list does not load the knowledge; a test holds them equal to it.
DIMENSIONS: Final = {
    "data_management": "Data management",
    "model_training": "Model training and experimentation",
    "deployment": "Deployment",
    "monitoring": "Monitoring",
    "governance": "Governance",
    "team_practices": "Team practices",
}
ALIASES: Final = {"experimentation": "model_training"}


def _entry(uri: str, name: str, title: str, description: str, mime: str) -> dict[str, Any]:
    return {
        "uri": uri,
        "name": name,
        "title": title,
        "description": description,
        "mimeType": mime,
    }


def _both(uri: str, name: str, title: str, description: str) -> list[dict[str, Any]]:
    return [
        _entry(uri, name, title, f"{description} JSON.", JSON),
        _entry(
            f"{uri}?format=markdown",
            f"{name}-markdown",
            f"{title} (to read)",
            f"{description} Markdown.",
            MARKDOWN,
        ),
    ]


_RESOURCES: Final = (
    *_both(
        "mlops://rubric",
        "rubric",
        "Maturity rubric",
        "Levels, points, and what each dimension asks for at each level.",
    ),
    *_both(
        "mlops://principles",
        "principles",
        "Lifecycle and principles",
        "The stages of the ML lifecycle and the MLOps principles, with the practices behind them.",
    ),
    *_both(
        "mlops://rules",
        "rules",
        "Rules of the audit",
        "Every rule with severity and confidence, the table of severities, the risk formula.",
    ),
    *(
        _entry(
            f"mlops://rubric/{name}?format=markdown",
            f"rubric-{name}",
            f"Rubric: {title}",
            f"{title}: what is observed at levels 0-4, and the practices. Markdown.",
            MARKDOWN,
        )
        for name, title in DIMENSIONS.items()
    ),
)
_TEMPLATES: Final = (
    {
        "uriTemplate": "mlops://rubric/{dimension}{?format}",
        "name": "rubric-dimension",
        "title": "One dimension of the rubric",
        "description": "Cells and practices of one dimension. format: json (default), markdown.",
    },
    {
        "uriTemplate": "mlops://rules/{id}{?format}",
        "name": "rule",
        "title": "One rule of the audit",
        "description": (
            "What it looks for, why it is bad, known problems, examples, fix, sources."
            " format: json (default), markdown."
        ),
    },
    {
        "uriTemplate": "mlops://practices/{id}{?format}",
        "name": "practice",
        "title": "One practice",
        "description": (
            "What it means, what counts as evidence and what does not, effort, exit test, sources."
            " format: json (default), markdown."
        ),
    },
)


_PROMPTS: Final[tuple[dict[str, Any], ...]] = (
    {
        "name": "start_assessment",
        "title": "Start a maturity assessment",
        "description": "Interviews a team about how it builds and runs models, then assesses it.",
        "arguments": [
            {
                "name": "description",
                "title": "Description",
                "description": "What the team does, in its own words.",
                "required": False,
            },
            {
                "name": "workspace",
                "title": "Workspace",
                "description": "A folder with the team's code, inside the server's roots.",
                "required": False,
            },
        ],
    },
    {
        "name": "mlops_basics",
        "title": "Learn the MLOps basics",
        "description": "Teaches the ML lifecycle and the MLOps principles, from the rubric's data.",
        "arguments": [
            {
                "name": "topic",
                "title": "Topic",
                "description": (
                    "A stage of the lifecycle, a principle or a dimension; all of it if absent."
                ),
                "required": False,
            }
        ],
    },
)


def resources() -> tuple[dict[str, Any], ...]:
    """Return the entries of `resources/list`."""
    return _RESOURCES


def templates() -> tuple[dict[str, Any], ...]:
    """Return the entries of `resources/templates/list`."""
    return _TEMPLATES


def prompts() -> tuple[dict[str, Any], ...]:
    """Return the entries of `prompts/list`."""
    return _PROMPTS
