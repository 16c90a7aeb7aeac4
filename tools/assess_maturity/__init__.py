"""assess_maturity: an honest level, from answers, words and files."""

NAME = "assess_maturity"
TITLE = "Assess MLOps maturity"
DESCRIPTION = (
    "Scores MLOps maturity 0-100 (levels 0-4) in six dimensions from answers, free text and "
    "files, with evidence by file and line, gaps, a roadmap and the most informative questions. "
    "Computed, not guessed: unknown is not no, tools alone score nothing. "
    "Use it for 'how mature are we', 'what is missing', 'what first'. Not for choosing tools or "
    "reviewing code for defects. Call it empty to start an interview. "
    'Example: {"practices": ["Training data is versioned with DVC", "We deploy by hand"], '
    '"deployment_frequency": "monthly", "context": {"team_size": 5}}'
)
